import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { weight } from "./exp.js";
import { type SamplingParams, samplingParams } from "./params.js";
import { Draws } from "./rng.js";
import { Sampler } from "./sampler.js";

const GREEDY: SamplingParams = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  seed: 1n,
};
const params = (some: Partial<SamplingParams>): SamplingParams => ({ ...GREEDY, ...some });

/** The definition: everything sorted, everything rebuilt, in the order of the transforms. */
function reference(
  p: SamplingParams,
  genStart: number,
  raw: Float32Array,
  position: number,
  context: readonly number[],
): number {
  const logits = raw.slice();
  for (const id of new Set(context)) {
    const l = logits[id] ?? 0;
    logits[id] = l > 0 ? l / p.repetitionPenalty : l * p.repetitionPenalty;
  }
  if (p.repetitionPenalty !== 1 || p.presencePenalty !== 0) {
    // The penalties are one step in float32, so presence starts from the unrounded product.
    for (const id of new Set(context.slice(genStart))) {
      const l = raw[id] ?? 0;
      const repeated = l > 0 ? l / p.repetitionPenalty : l * p.repetitionPenalty;
      logits[id] = repeated - p.presencePenalty;
    }
  }
  const ranked = [...logits.keys()].sort(
    (a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b, // -0 and 0 tie
  );
  const max = logits[ranked[0] ?? 0] ?? 0;
  if (p.temperature === 0) return ranked[0] ?? 0;
  const full = 2 ** (53 - Math.max(1, Math.ceil(Math.log2(logits.length))));
  const w = (id: number) =>
    weight(((logits[id] ?? 0) - max) * (1 / p.temperature)) * full + 2 ** 52 - 2 ** 52;
  const total = (ids: number[]) => Number(ids.reduce((sum, id) => sum + BigInt(w(id)), 0n));
  let kept = p.topK > 0 ? ranked.slice(0, p.topK) : ranked;
  if (p.topP < 1) {
    const target = p.topP * total(kept);
    let n = 1;
    while (n < kept.length && total(kept.slice(0, n)) < target) n++;
    kept = kept.slice(0, n);
  }
  kept = kept.filter((id) => w(id) >= p.minP * full).sort((a, b) => a - b);
  const point = Math.floor(new Draws(p.seed).uniform(position, 0) * total(kept));
  let sum = 0;
  for (const id of kept) {
    sum += w(id);
    if (sum > point) return id;
  }
  return -1;
}

const logit = fc.oneof(
  fc.float({ min: -30, max: 30, noNaN: true }),
  fc.constantFrom(0, -0, 1, 1, 2, -3, Number.NEGATIVE_INFINITY),
);
const anyParams: fc.Arbitrary<SamplingParams> = fc.record({
  temperature: fc.constantFrom(0, 0.01, 0.7, 1, 5, 1000),
  topK: fc.constantFrom(0, 0, 1, 2, 5, 40, 1000),
  topP: fc.constantFrom(1, 0.999999, 0.9, 0.5, 0.1, 1e-9),
  minP: fc.constantFrom(0, 0, 0.05, 0.5, 0.999),
  repetitionPenalty: fc.constantFrom(1, 1.3, 0.8),
  presencePenalty: fc.constantFrom(0, 0.6, -1),
  seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
});

describe("Sampler", () => {
  it("equals the definition for any logits and parameters", () => {
    fc.assert(
      fc.property(
        fc.array(logit, { minLength: 1, maxLength: 70 }),
        anyParams,
        fc.array(fc.nat(69), { maxLength: 12 }),
        fc.nat(12),
        fc.nat(5000),
        (row, p, tokens, genStart, position) => {
          fc.pre(row.some(Number.isFinite));
          const logits = Float32Array.from(row);
          const context = tokens.filter((id) => id < row.length);
          const expected = reference(p, genStart, logits, position, context);
          expect(new Sampler(p, genStart).sample(logits, position, context)).toBe(expected);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("equals the definition at a real vocabulary's size", () => {
    const noise = new Draws(5n);
    // A sum of uniforms is nearly normal, as logits are.
    const normal = (i: number, row: number) =>
      [0, 1, 2, 3].reduce((sum, j) => sum + noise.uniform(i, 4 * row + j), -2) * 5;
    const cases = [
      { temperature: 0.7, topP: 0.9 },
      { temperature: 1.5, topP: 0.95 },
      { temperature: 100, topP: 0.3 },
      { temperature: 1, topK: 40, topP: 0.9 },
      { temperature: 1, topK: 5000 },
      { temperature: 1, minP: 0.05 },
      { temperature: 1 },
    ];
    cases.forEach((some, row) => {
      const p = params({ ...some, seed: BigInt(row) });
      const logits = Float32Array.from({ length: 4000 }, (_, i) => normal(i, row));
      const expected = reference(p, 0, logits, row, []);
      expect(new Sampler(p, 0).sample(logits.slice(), row, [])).toBe(expected);
    });
  });

  it("keeps penalty state that equals a rebuild, while the context grows and is cut", () => {
    const step = fc.oneof(
      fc.record({ push: fc.array(fc.nat(19), { minLength: 1, maxLength: 4 }) }),
      fc.record({ cut: fc.nat(10) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.nat(8), (steps, genStart) => {
        const p = params({ temperature: 1, repetitionPenalty: 1.7, presencePenalty: 0.9 });
        const kept = new Sampler(p, genStart);
        const context: number[] = [];
        for (const [i, action] of steps.entries()) {
          if ("push" in action) context.push(...action.push);
          else context.length = Math.max(0, context.length - action.cut);
          const logits = Float32Array.from({ length: 20 }, (_, id) => ((id * 7 + i) % 11) - 4);
          const fresh = new Sampler(p, genStart).sample(logits.slice(), i, context);
          expect(kept.sample(logits, i, context)).toBe(fresh);
        }
      }),
    );
  });

  it("gives ties to the lowest id", () => {
    const logits = new Float32Array([-0, 0, 3, 3, 3]);
    expect(new Sampler(GREEDY, 0).sample(logits, 0, [])).toBe(2);
    expect(new Sampler(GREEDY, 0).sample(new Float32Array([-0, 0]), 0, [])).toBe(0);
    const one = params({ temperature: 1, topP: 1e-12 });
    expect(new Sampler(one, 0).sample(logits, 0, [])).toBe(2);
  });

  it("draws in proportion", () => {
    const logits = new Float32Array([Math.log(1), Math.log(2), Math.log(5)]);
    const counts = [0, 0, 0];
    const sampler = new Sampler(params({ temperature: 1, seed: 3n }), 0);
    for (let i = 0; i < 8000; i++) {
      const id = sampler.sample(logits.slice(), i, []);
      counts[id] = (counts[id] ?? 0) + 1;
    }
    const [a = 0, b = 0, c = 0] = counts;
    expect(Math.abs(a - 1000)).toBeLessThan(120);
    expect(Math.abs(b - 2000)).toBeLessThan(160);
    expect(Math.abs(c - 5000)).toBeLessThan(180);
  });

  it("refuses logits that are no distribution", () => {
    const sampler = (some: Partial<SamplingParams>) => new Sampler(params(some), 0);
    for (const some of [{}, { temperature: 1 }, { temperature: 1, topK: 2, topP: 0.5 }]) {
      const bad = new Float32Array([0, 1, Number.NaN, 2]);
      expect(() => sampler(some).sample(bad, 0, [])).toThrow(/token 2 is not a number/);
      const none = new Float32Array(3).fill(Number.NEGATIVE_INFINITY);
      expect(() => sampler(some).sample(none, 0, [])).toThrow(/must be finite/);
      const over = new Float32Array([0, Number.POSITIVE_INFINITY]);
      expect(() => sampler(some).sample(over, 0, [])).toThrow(/must be finite/);
    }
  });
});

describe("samplingParams", () => {
  const burst = { ...GREEDY, temperature: 0.5 };

  it("takes what is in range, and unset protobuf fields as off", () => {
    expect(samplingParams(burst)).toEqual(burst);
    expect(samplingParams({ ...burst, topP: 0, repetitionPenalty: 0 })).toEqual(burst);
  });

  it.each([
    ["temperature", { temperature: -1 }],
    ["temperature", { temperature: Number.NaN }],
    ["top_k", { topK: 1.5 }],
    ["top_p", { topP: 1.1 }],
    ["min_p", { minP: 1 }],
    ["repetition_penalty", { repetitionPenalty: -1 }],
    ["presence_penalty", { presencePenalty: Number.POSITIVE_INFINITY }],
    ["seed", { seed: -1n }],
  ])("refuses a bad %s by name", (argument, bad) => {
    expect(() => samplingParams({ ...burst, ...bad })).toThrow(
      expect.objectContaining({ code: "EINVAL", argument }),
    );
  });
});
