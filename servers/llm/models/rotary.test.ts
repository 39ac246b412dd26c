import { expect, it } from "vitest";
import { type Rope, type RopeScaling, rotaryTable } from "./rotary.js";

const rope: Rope = { headDim: 4, window: 3, theta: 100 };

it("tabulates cos and sin of position times frequency", () => {
  // Frequencies 1 and 100^(-1/2) = 0.1.
  const angles = [0, 0, 1, 0.1, 2, 0.2];
  expect(rotaryTable(rope, "cos")).toEqual(Float32Array.from(angles, Math.cos));
  const sin = rotaryTable(rope, "sin");
  for (const [i, angle] of angles.entries()) expect(sin[i]).toBeCloseTo(Math.sin(angle), 6);
});

it("divides frequencies by the model's factors", () => {
  const sin = rotaryTable(rope, "sin", Float32Array.of(2, 1));
  expect(sin[2]).toBeCloseTo(Math.sin(0.5), 6);
  expect(sin[3]).toBeCloseTo(Math.sin(0.1), 6);
});

it("turns all pairs slower by a linear factor", () => {
  const scaled = rotaryTable({ ...rope, scaling: LINEAR }, "sin");
  expect(scaled[2]).toBeCloseTo(3 * Math.sin(1 / 4), 6);
  expect(scaled[3]).toBeCloseTo(3 * Math.sin(0.1 / 4), 6);
});

it("leaves fast pairs, slows slow ones, and mixes between them, by yarn", () => {
  // As ggml's rope_yarn has it, of 16 pairs in an original window of 64 positions.
  const wide: Rope = { headDim: 32, window: 2, theta: 10_000, scaling: YARN };
  const sharper = 1 + 0.1 * Math.log(8);
  const slowing = Array.from(rotaryTable(wide, "sin").subarray(16), (sin, i) => {
    return Math.asin(sin / sharper) / 10_000 ** ((-2 * i) / 32);
  });
  // Pair 0 turns ten times: mixed from -1.98 (cut to 0) on; pair 5 and beyond less than once.
  const mixed = [0, 1, 2, 3, 4].map((i) => (1 - i / 5) * 1 + (i / 5) * (1 / 8));
  for (const [i, part] of slowing.entries()) expect(part).toBeCloseTo(mixed[i] ?? 1 / 8, 4);
});

const LINEAR: RopeScaling = { type: "linear", factor: 4, magnitude: 3 };
const YARN: RopeScaling = {
  type: "yarn",
  factor: 8,
  magnitude: 1,
  originalWindow: 64,
  betaFast: 32,
  betaSlow: 1,
};
