/** Plans that contradict the slots, or themselves: each is a fault that says what is wrong. */
import { expect, test } from "vitest";
import type { Plan } from "../../../proto/gen/contix/driver/v1/llm.js";
import { bind, chunk, plan, row, run, ScriptModel } from "./testing/scripted.js";

const bound = plan({ steps: 2, binds: [bind(0, 0, {})], chunks: [chunk(0)] });
const faults: [string, Partial<Plan>, RegExp][] = [
  ["a slot out of range", { rows: [row(4)] }, /names slot 4; there are 4/],
  ["a copy out of range", { copies: [{ fromSlot: 0, toSlot: 9, tokens: 1 }] }, /names slot 9/],
  ["a copy over itself", { copies: [{ fromSlot: 1, toSlot: 1, tokens: 0 }] }, /over itself/],
  [
    "a copy of what is not there",
    { copies: [{ fromSlot: 0, toSlot: 1, tokens: 9 }] },
    /copies 9 tokens of slot 0, which has 5/,
  ],
  ["a bind beyond the mirror", { binds: [bind(0, 6)] }, /keeps 6 tokens of slot 0, which has 5/],
  ["two rows in a slot", { rows: [row(0), row(0)] }, /two rows in slot 0/],
  [
    "a token outside the vocabulary",
    { rows: [row(0, { forced: [64] })] },
    /token 64 in slot 0; the vocabulary has 64/,
  ],
  ["a chunk of one token", { chunks: [chunk(0, { tokens: [1] })] }, /chunk of 1 tokens/],
  [
    "a chunk beyond the slot",
    { chunks: [chunk(0, { start: 30 })] },
    /ends at position 34 of slot 0, which has 32/,
  ],
  [
    "a chunk after a gap",
    { binds: [bind(1, 0, { id: 2n, genStart: 6 })], chunks: [chunk(1, { burst: 2n, start: 2 })] },
    /position 2 of slot 1, which has 0 tokens/,
  ],
  [
    "a chunk with other tokens than there are",
    { chunks: [chunk(0, { tokens: [10, 11, 99 % 64, 13] })] },
    /token 35 at position 2 of slot 0, where 12 is/,
  ],
  [
    "a chunk of which one token is left",
    {
      binds: [bind(0, 3, { id: 2n })],
      chunks: [chunk(0, { burst: 2n })],
    },
    /one token is left/,
  ],
  [
    "a chunk beyond gen_start",
    { binds: [bind(0, 4, { id: 2n })], chunks: [chunk(0, { burst: 2n, start: 4 })] },
    /ends at position 8 of slot 0, beyond gen_start 4/,
  ],
  [
    "forced tokens after a gap",
    { rows: [row(0, { forcedStart: 9, forced: [1] })] },
    /position 9 of slot 0, which has 5 tokens/,
  ],
  [
    "a forced token that is not the one sampled",
    { rows: [row(0, { forcedStart: 5, forced: [44] })] },
    /forces token 44 at position 5 of slot 0, for which burst 1 sampled 1/,
  ],
  [
    "a row with nothing to go on from",
    { binds: [bind(0, 5, { id: 2n })], rows: [row(0, { burst: 2n })] },
    /burst 2 is to go on after 5 tokens of slot 0, where it has sampled nothing/,
  ],
  [
    "sampling before gen_start",
    {
      binds: [bind(1, 0, { id: 2n })],
      rows: [row(1, { burst: 2n, forced: [7] })],
    },
    /sample at position 1, before its gen_start 4/,
  ],
  ["a burst that is not there", { rows: [row(1)] }, /burst 1 in slot 1, which holds no burst/],
  ["another burst", { rows: [row(0, { burst: 7n })] }, /burst 7 in slot 0, which holds burst 1/],
  ["an id that does not rise", { id: bound.id }, /ids rise/],
  [
    "sampling out of range",
    { binds: [bind(1, 0, { id: 2n, topP: 2 })] },
    /top_p is 2; it must be in \(0, 1\]/,
  ],
];

test.each(faults)("is a fault: %s", async (_, fields, message) => {
  await expect(run(new ScriptModel([]), bound, plan(fields))).rejects.toThrow(message);
});
