import fc from "fast-check";
import { expect, it } from "vitest";
import { copyOf, logprobsOf } from "./logprobs.js";

/** The definition: the logarithm of exp(logit) over the sum of all of these. */
function definition(logits: Float32Array): number[] {
  const weights = Array.from(logits, Math.exp);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => Math.log(weight / total));
}

const logit = fc.oneof(
  fc.float({ min: -30, max: 30, noNaN: true }),
  fc.constantFrom(0, -0, 1, 1, 2, Number.NEGATIVE_INFINITY),
);

it("are those of the definition, the likeliest first, the lowest id among equals", () => {
  fc.assert(
    fc.property(
      fc.array(logit, { minLength: 1, maxLength: 70 }),
      fc.nat(69),
      fc.nat(25),
      (row, at, most) => {
        const logits = Float32Array.from(row);
        const token = at % logits.length;
        fc.pre(Number.isFinite(logits[token]));
        const want = definition(logits);
        const { logprob, top } = logprobsOf(logits, token, most);
        expect(logprob).toBeCloseTo(want[token] ?? Number.NaN, 9);
        const ranked = [...logits.keys()]
          .filter((id) => Number.isFinite(logits[id]))
          .sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
        expect(top.map((one) => one.token)).toEqual(ranked.slice(0, most));
        for (const one of top) expect(one.logprob).toBeCloseTo(want[one.token] ?? Number.NaN, 9);
      },
    ),
    { numRuns: 1000 },
  );
});

it("are of one distribution, whatever is likely, for a real vocabulary", () => {
  const logits = Float32Array.from({ length: 49_152 }, (_, id) => 12 * Math.sin(id * id));
  const { top } = logprobsOf(logits, 0, logits.length);
  expect(top).toHaveLength(logits.length);
  const sum = top.reduce((total, { logprob }) => total + Math.exp(logprob), 0);
  expect(sum).toBeCloseTo(1, 9);
});

it("hold for logits that are far apart, and far from 0", () => {
  expect(logprobsOf(Float32Array.of(5000, 4000, 5000), 1, 1)).toEqual({
    logprob: -1000 - Math.LN2,
    top: [{ token: 0, logprob: -Math.LN2 }],
  });
  expect(logprobsOf(Float32Array.of(-5000), 0, 20)).toEqual({
    logprob: 0,
    top: [{ token: 0, logprob: 0 }],
  });
});

it("are of a copy that a change of the logits leaves as it is", () => {
  const long = Float32Array.of(1, 2, 3);
  expect([...copyOf(long)]).toEqual([1, 2, 3]);
  const short = Float32Array.of(4, 5);
  const copy = copyOf(short);
  short.fill(0);
  expect([...copy]).toEqual([4, 5]);
});
