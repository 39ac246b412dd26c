import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Outcome, Plan } from "../../../proto/gen/contix/driver/v1/llm.js";
import { tinyModel } from "../models/tiny.js";
import { Executor } from "./executor.js";
import { OnnxModel } from "./onnx-model.js";
import { HashModel, letters } from "./testing/hash-model.js";

const BURST = {
  id: 1n,
  genStart: 4,
  maxTokens: 12,
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  seed: 1n,
  stop: [],
  ignoreEos: true,
  logprobs: 1,
};

/** A model whose greatest logit is always the token after the last one, of four. */
class Counting extends HashModel {
  override readonly verify = async (_slot: number, start: number, tokens: readonly number[]) => {
    expect(start + tokens.length).toBeLessThanOrEqual(this.info.slotTokens);
    return tokens.map(after);
  };

  override async prefill(_slot: number, _start: number, tokens: readonly number[]) {
    return after(tokens.at(-1) ?? 0);
  }

  override async decode(rows: readonly { token: number }[]) {
    return rows.map(({ token }) => after(token));
  }
}

function after(token: number): Float32Array {
  return Float32Array.from({ length: 4 }, (_, id) => (id === (token + 1) % 4 ? 1 : 0));
}

/** The outcomes of one burst on the prompt 0 1 2 3. */
async function outcomes(lookup: number, slotTokens: number): Promise<Outcome[]> {
  const said: Outcome[] = [];
  const executor = new Executor({
    model: new Counting({ slots: 1, slotTokens, vocab: 4, eosIds: [] }),
    detokenizer: letters,
    lookup,
    report: (outcome) => {
      said.push(outcome);
      if (outcome.rows[0]?.finish !== "") executor.stop();
    },
    nowUs: () => 0,
  });
  const none = { copies: [], saves: [], writes: [], reads: [], rows: [], gatherUs: 0 };
  const chunk = { burst: 1n, slot: 0, start: 0, tokens: [0, 1, 2, 3], sample: true };
  const bind = { slot: 0, keep: 0, burst: BURST, loads: [] };
  const plan: Plan = { id: 1n, steps: 64, binds: [bind], chunks: [chunk], ...none };
  executor.submit(plan);
  await executor.run();
  return said;
}

test.each([
  { lookup: 0, slotTokens: 99, sampled: Array(12).fill(1), finish: 12 },
  // The end of the prompt was not seen before: two steps without guesses, then 5 tokens a run.
  { lookup: 4, slotTokens: 99, sampled: [1, 1, 5, 5], finish: 12 },
  { lookup: 4, slotTokens: 11, sampled: [1, 1, 5], finish: 7 },
  { lookup: 50, slotTokens: 11, sampled: [1, 1, 5], finish: 7 },
  { lookup: 50, slotTokens: 99, sampled: [1, 1, 10], finish: 12 },
])(
  "with $lookup guesses in a slot of $slotTokens the tokens come as $sampled",
  async ({ lookup, slotTokens, sampled, finish }) => {
    const rows = (await outcomes(lookup, slotTokens)).flatMap(({ rows }) => rows);
    expect(rows.map((row) => row.sampled.length)).toEqual(sampled);
    for (const row of rows) {
      expect(row.logprobs?.tokens.map(({ token }) => token)).toEqual(row.sampled);
    }
    expect(rows.flatMap((row) => row.sampled)).toEqual(
      Array.from({ length: finish }, (_, i) => i % 4),
    );
    expect(rows.at(-1)).toMatchObject({ finish: "length", length: 4 + finish - 1 });
  },
);

test("only a model with KV in int8 has one way in, and checks guesses", async () => {
  const home = await mkdtemp(join(tmpdir(), "contix-verify-"));
  try {
    for (const [kv, can] of [
      ["fp32", false],
      ["int8", true],
    ] as const) {
      const dir = await tinyModel(home, { recipe: "q8", kv });
      const model = await OnnxModel.open(dir, { slots: 2, slotTokens: 64, threads: 1, lookup: 4 });
      expect(model.verify !== undefined).toBe(can);
      expect(model.info.oneWay ?? false).toBe(can);
      await model.close();
    }
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
