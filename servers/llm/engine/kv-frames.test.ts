/** Pages through the bytes that leave the process: what fills a slot is what a frame had. */
import { expect, test } from "vitest";
import { KvFrames } from "./kv-frames.js";
import { KvSlots } from "./kv-slots.js";
import { PageFiller } from "./page-memory.js";
import { PAGE_TOKENS } from "./pages.js";

const SHAPE = { layers: 2, slots: 2, frames: 4, kvHeads: 3, slotTokens: 64, headDim: 8 };

test.each(["fp32", "int8"] as const)("%s pages fill a slot, piece by piece", (format) => {
  const kv = new KvSlots({ ...SHAPE, format });
  const ends: number[] = [];
  const pages = new KvFrames(kv, (_, end) => ends.push(end));
  for (const buffer of kv.buffers) for (let i = 0; i < buffer.length; i++) buffer[i] = (i % 97) + 1;
  pages.save(0, PAGE_TOKENS, 2 * PAGE_TOKENS, 1);
  const bytes = new Uint8Array(pages.bytes);
  const filler = new PageFiller(pages.memory, bytes);
  for (const frame of [1, 2]) {
    bytes.set(Buffer.concat(pages.frame(frame)));
    const { memory, at } = pages.inSlot(1, frame * PAGE_TOKENS);
    expect(memory).toBe(pages.memory);
    filler.fill(at);
  }
  expect(ends).toEqual([2 * PAGE_TOKENS, 3 * PAGE_TOKENS]);
  const length = 2 * PAGE_TOKENS * SHAPE.headDim;
  for (const buffer of kv.buffers) {
    for (let head = 0; head < SHAPE.kvHeads; head++) {
      const [from, to] = [kv.at(0, head, PAGE_TOKENS), kv.at(1, head, PAGE_TOKENS)];
      expect(buffer.slice(to, to + length)).toEqual(buffer.slice(from, from + length));
    }
  }
});
