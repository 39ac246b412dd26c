import { describe, expect, it } from "vitest";
import { cellFigures } from "./engine-decode.js";
import type { DecodeRun } from "./engine-sides.js";

/** A run of 8 rows with these steps. */
function run(...stepMs: number[]): DecodeRun {
  const seconds = stepMs.reduce((sum, ms) => sum + ms, 0) / 1000;
  return { rows: 8, seconds, stepMs, tokens: Array.from({ length: 8 }, (_, i) => [i, 1]) };
}

const value = (runs: Record<string, DecodeRun[]>, id: string): number | undefined =>
  cellFigures("cell", new Map(Object.entries(runs))).find((figure) => figure.id === `cell.${id}`)
    ?.median;

describe("the figures of a cell", () => {
  const runs = {
    contix: [run(10, 10), run(10, 10)],
    "contix.int8kv": [run(5, 5), run(5, 5)],
    llama: [run(30, 30), run(30, 30)],
    "llama.free": [run(20, 20), run(20, 20)],
    "llama.Q8_0": [run(15, 15), run(15, 15)],
    "hub.q8": [run(40, 40), run(40, 40)],
    "hub.fp32": [run(50, 50), run(50, 50)],
  };

  it("hold us against the peer's faster way, not the one that was thought best", () => {
    expect(value(runs, "ratio")).toBeCloseTo(2);
    expect(value(runs, "ratio.free")).toBeCloseTo(2);
  });

  it("hold us against the fastest format with our faster cache", () => {
    expect(value(runs, "ratio.bestFormat")).toBeCloseTo(3);
    expect(value(runs, "ratio.int8kv")).toBeCloseTo(4);
  });

  it("hold us against the library's faster dtype", () => {
    expect(value(runs, "hub.ratio")).toBeCloseTo(4);
  });

  it("take the peer's median step, which a slow step does not move", () => {
    const slow = { ...runs, llama: [run(30, 30, 300), run(30, 30, 300)] };
    expect(value(slow, "ratio.step")).toBeCloseTo(3);
    expect(value(slow, "ratio")).toBeCloseTo(2);
  });

  it("leave out what was not measured", () => {
    const { contix, llama } = runs;
    expect(value({ contix, llama }, "ratio")).toBeCloseTo(3);
    expect(value({ contix, llama }, "ratio.free")).toBeCloseTo(3);
    expect(value({ contix, llama }, "ratio.bestFormat")).toBeUndefined();
    expect(value({ contix, llama }, "hub.ratio")).toBeUndefined();
    expect(value({ contix }, "ratio")).toBeUndefined();
  });
});
