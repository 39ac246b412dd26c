import { describe, expect, it } from "vitest";
import { makePage } from "./conformance.js";
import { type Findable, Findings } from "./findings.js";

const S = 1_000_000;

function findable(ways = 0): Findable {
  const page = { ...makePage("page", undefined), ways };
  return { page, own: false, foundAt: 0, interval: -1 };
}

describe("what newcomers find", () => {
  it("is found again as soon as it was found before", () => {
    const findings = new Findings();
    const [popular, rare] = [findable(), findable()];
    for (const page of [popular, rare]) findings.begin(page, undefined, 0);
    for (let i = 1; i <= 100; i++) {
      findings.found(popular, i * 2 * S);
      findings.found(rare, i * 300 * S);
    }
    expect(findings.of(popular).quantile(0.5)).toBeLessThan(4 * S);
    expect(findings.of(rare).quantile(0.5)).toBeGreaterThan(100 * S);
  });

  it("is not what a context generated, nor what comes behind that", () => {
    const findings = new Findings();
    for (let i = 0; i < 100; i++) {
      const [given, generated, behind] = [findable(), findable(1 << 15), findable()];
      findings.begin(given, undefined, 0);
      findings.begin(generated, given, 0);
      findings.begin(behind, generated, 0);
      expect([given.own, generated.own, behind.own]).toEqual([false, true, true]);
      findings.found(given, 10 * S);
      findings.lost(generated, 20 * S);
      findings.lost(behind, 20 * S);
    }
    const [given, own] = [findable(), findable(1)];
    findings.begin(given, undefined, 0);
    findings.begin(own, undefined, 0);
    expect(findings.of(given).index(5 * S)).toBeGreaterThan(20 * findings.of(own).index(5 * S));
  });

  it("counts as any other from the first time that it is found", () => {
    const findings = new Findings();
    const [own, given] = [findable(1), findable()];
    for (const page of [own, given]) {
      findings.begin(page, undefined, 0);
      findings.found(page, 3 * S);
    }
    expect(findings.of(own)).toBe(findings.of(given));
    findings.begin(own, undefined, 9 * S);
    expect(findings.of(own)).not.toBe(findings.of(given));
  });
});
