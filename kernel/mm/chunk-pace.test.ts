import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChunkPace } from "./chunk-pace.js";

/** A machine on which a step takes 10 ms, 1 ms a row, and `tokenUs` a token of prefill. */
function run(pace: ChunkPace, rows: number, tokenUs: number, steps: number): number {
  let size = 0;
  for (let i = 0; i < steps; i++) {
    const alone = 10_000 + rows * 1000;
    pace.note(rows, 0, alone);
    size = pace.size(rows);
    pace.note(rows, size, alone + size * tokenUs);
  }
  return size;
}

describe("the size of a chunk", () => {
  it("is the first one until a chunk was seen", () => {
    const pace = new ChunkPace(64, 80_000);
    expect(pace.size(3)).toBe(64);
    pace.note(3, 0, 12_000);
    expect(pace.size(3)).toBe(64);
  });

  it("fills what the rows leave of the target", () => {
    // (80 - 18) ms at 1 ms a token.
    expect(run(new ChunkPace(64, 80_000), 8, 1000, 50)).toBe(48);
    expect(run(new ChunkPace(64, 80_000), 8, 300, 50)).toBe(192);
  });

  it("follows a machine that gets slower and faster again", () => {
    const pace = new ChunkPace(64, 80_000);
    expect(run(pace, 4, 500, 50)).toBe(128);
    expect(run(pace, 4, 2000, 50)).toBe(32);
    expect(run(pace, 4, 500, 100)).toBe(128);
  });

  it("learns from the nearest number of rows", () => {
    const pace = new ChunkPace(64, 80_000);
    run(pace, 8, 1000, 50);
    expect(pace.size(7)).toBe(pace.size(8));
    expect(pace.size(16)).toBe(pace.size(8));
  });

  it("is at most 256 tokens where they cost nothing, at least 16 where they cost much", () => {
    expect(run(new ChunkPace(64, 80_000), 1, 1, 50)).toBe(256);
    expect(run(new ChunkPace(64, 80_000), 1, 100_000, 50)).toBe(16);
  });

  it("stays within its bounds, whatever it is told", () => {
    const step = fc.tuple(
      fc.integer({ min: 0, max: 16 }),
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: 0, max: 2 ** 31 }),
    );
    fc.assert(
      fc.property(fc.array(step), fc.integer({ min: 0, max: 16 }), (steps, rows) => {
        const pace = new ChunkPace(64, 80_000);
        for (const each of steps) pace.note(...each);
        expect(pace.size(rows)).toBeGreaterThanOrEqual(16);
        expect(pace.size(rows)).toBeLessThanOrEqual(256);
        expect(pace.size(rows) % 16).toBe(0);
      }),
    );
  });
});
