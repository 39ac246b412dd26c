import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nextAge, WaitSketch, Waits } from "./waits.js";

const S = 1_000_000;

function seen(durations: readonly number[]): WaitSketch {
  const sketch = new WaitSketch();
  for (const us of durations) sketch.returned(us);
  return sketch;
}

describe("a sketch of waits", () => {
  it("knows quantiles within its buckets' width", () => {
    const sketch = seen(Array.from({ length: 1000 }, (_, i) => (i + 1) * 0.1 * S));
    for (const p of [0.1, 0.5, 0.9]) {
      const exact = p * 100 * S;
      expect(sketch.quantile(p)).toBeGreaterThan(exact / 1.5);
      expect(sketch.quantile(p)).toBeLessThan(exact * 1.5);
    }
  });

  it("knows what is left of one that is under way", () => {
    const sketch = seen([...Array(500).fill(S), ...Array(500).fill(1000 * S)]);
    expect(sketch.quantile(0.4)).toBeLessThan(2 * S);
    expect(sketch.quantile(0.4, 10 * S)).toBeGreaterThan(500 * S);
  });

  it("is worth less the longer it lasts, when most are short and some very long", () => {
    const sketch = seen([...Array(500).fill(S), ...Array(500).fill(1000 * S)]);
    expect(sketch.index(0)).toBeGreaterThan(10 * sketch.index(10 * S));
  });

  it("is worth more the nearer a known duration comes", () => {
    const sketch = seen(Array(1000).fill(100 * S));
    expect(sketch.index(60 * S)).toBeGreaterThan(1.5 * sketch.index(S));
  });

  it("counts no return of those that ended, and is not misled by those it lost", () => {
    const [all, half, lost] = [new WaitSketch(), new WaitSketch(), new WaitSketch()];
    for (let i = 0; i < 1000; i++) {
      all.returned(10 * S);
      half.returned(10 * S);
      half.ended(5 * S);
      lost.returned(10 * S);
      lost.lost(5 * S);
    }
    expect(half.index(0) / all.index(0)).toBeLessThan(0.75);
    // Product limit: of those that were watched, all returned after ten seconds.
    expect(lost.quantile(0.9)).toBe(all.quantile(0.9));
  });

  it("unlearns", () => {
    const sketch = seen(Array(15_000).fill(S));
    for (let i = 0; i < 100_000; i++) sketch.returned(100 * S);
    expect(sketch.quantile(0.5)).toBeGreaterThan(50 * S);
  });

  it("expects of what nobody saw no more than of what was seen, the older the less", () => {
    const sketch = new WaitSketch();
    // Nobody was watched for longer than a minute, and few came back.
    for (let i = 0; i < 1000; i++) {
      if (i % 100 === 0) sketch.returned((i % 60) * S);
      else sketch.lost(60 * S);
    }
    const ages = [100, 200, 400, 800, 1600, 3200].map((s) => sketch.index(s * S));
    for (const [i, index] of ages.entries()) {
      expect(index).toBeLessThan(i === 0 ? sketch.index(30 * S) : (ages[i - 1] ?? 0));
    }
  });

  it("does not take an overdue wait for one of those that were over at once", () => {
    const sketch = seen(Array(1000).fill(S));
    expect(sketch.index(100 * S)).toBeLessThan(sketch.index(0) / 100);
  });

  it("never is worth nothing or without bounds, whatever it saw", () => {
    const durations = fc.array(fc.tuple(fc.nat(2), fc.double({ min: 0, max: 1e14, noNaN: true })));
    fc.assert(
      fc.property(durations, fc.double({ min: 0, max: 1e14, noNaN: true }), (waits, age) => {
        const sketch = new WaitSketch();
        for (const [how, us] of waits) {
          if (how === 0) sketch.returned(us);
          else if (how === 1) sketch.ended(us);
          else sketch.lost(us);
        }
        expect(sketch.index(age)).toBeGreaterThan(0);
        expect(Number.isFinite(sketch.index(age))).toBe(true);
        expect(nextAge(age)).toBeGreaterThan(age);
      }),
      { seed: 7, numRuns: 200 },
    );
  });
});

it("keeps each kind by itself", () => {
  const waits = new Waits();
  waits.of("tool").returned(S);
  waits.of("person").returned(100 * S);
  expect([...waits.kinds].map(([kind, { count }]) => [kind, count])).toEqual([
    ["tool", 1],
    ["person", 1],
  ]);
});

it("learns a part of a kind apart, from what the kind is like", () => {
  const waits = new Waits();
  const [first, later] = [waits.ofPart("tool", 1), waits.ofPart("tool", 2)];
  for (let i = 0; i < 200; i++) first.returned(100 * S);
  // Nothing is known of later ones but what the kind has shown.
  expect(later.quantile(0.5)).toBe(waits.of("tool").quantile(0.5));
  for (let i = 0; i < 200; i++) later.returned(S);
  expect(later.quantile(0.5)).toBeLessThan(2 * S);
  expect(first.quantile(0.5)).toBeGreaterThan(50 * S);
  expect(waits.of("tool").count).toBe(400);
});
