import { expect, it } from "vitest";
import { type Rope, rotaryTable } from "./rotary.js";

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
