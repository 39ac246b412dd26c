import { describe, expect, it } from "vitest";
import { GOALS, type Goal } from "../goals.js";
import { check, verdictTable } from "./check.js";
import { SUITES } from "./report.js";
import { figureOf, reportOf } from "./testing.js";

const goal = (comparison: Goal["comparison"], value: number): Goal => ({
  suite: "startup",
  figure: "ready",
  comparison,
  goal: value,
  unit: "s",
  means: "test",
});

const verdict = (of: Goal, value: number) =>
  check([of], new Map([["startup", reportOf("startup", [figureOf("ready", value)])]]))[0];

describe("check", () => {
  it.each([
    ["at least", 2, true],
    ["at least", 1.999, false],
    ["at most", 2, true],
    ["at most", 2.001, false],
    ["below", 1.999, true],
    ["below", 2, false],
  ] as const)("%s 2 with %d: %s", (comparison, value, met) => {
    expect(verdict(goal(comparison, 2), value)).toMatchObject({ value, met });
  });

  it("holds the median against the goal, not the best sample", () => {
    const figure = { ...figureOf("ready", 3), min: 1, samples: [1, 3, 4] };
    const [result] = check(
      [goal("below", 2)],
      new Map([["startup", reportOf("startup", [figure])]]),
    );
    expect(result?.met).toBe(false);
  });

  it("misses a goal that has no report or no figure", () => {
    const [none] = check([goal("below", 2)], new Map());
    expect(none).toMatchObject({ value: undefined, met: false });
    expect(none?.remark).toContain("npm run bench -- startup");
    const [other] = check([goal("below", 2)], new Map([["startup", reportOf("startup", [])]]));
    expect(other?.met).toBe(false);
    expect(other?.remark).toContain("no such figure");
  });

  it("shows goal, value, met and the commit, with changes marked", () => {
    const report = reportOf("startup", [figureOf("ready", 1.25)]);
    const dirty = { ...report, machine: { ...report.machine, dirty: true } };
    const table = verdictTable(check([goal("below", 2)], new Map([["startup", dirty]])));
    expect(table).toMatch(
      /startup ready +\| test \| below 2 s \| 1\.250 \| yes \| 2025-11-22, 0123456789ab\+/,
    );
    const missed = verdictTable(check([goal("below", 1)], new Map([["startup", dirty]])));
    expect(missed).toContain("| NO ");
  });
});

describe("the goals", () => {
  it("name each figure once, of a suite that exists", () => {
    const names = GOALS.map(({ suite, figure }) => `${suite} ${figure}`);
    expect(new Set(names).size).toBe(names.length);
    for (const { suite } of GOALS) expect(SUITES).toContain(suite);
  });
});
