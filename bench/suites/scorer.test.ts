import { describe, expect, it } from "vitest";
import { scoreLogits } from "./scorer.js";

describe("scoreLogits", () => {
  it("gives the negative log of the softmax, however large the logits", () => {
    const logits = Float32Array.of(0, Math.log(3), 1000, 1000);
    const { nll, top } = scoreLogits(logits, 2, [1, 0]);
    expect(nll[0]).toBeCloseTo(-Math.log(3 / 4), 6);
    expect(nll[1]).toBeCloseTo(Math.log(2), 6);
    expect([...top]).toEqual([1, 0]);
  });

  it("is not a number for a token that the model does not have", () => {
    expect(scoreLogits(Float32Array.of(0, 1), 2, [5]).nll[0]).toBeNaN();
  });
});
