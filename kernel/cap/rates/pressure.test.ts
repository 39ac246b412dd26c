import { expect, it } from "vitest";
import { Pressure } from "./pressure.js";
import type { LimitUse } from "./rates.js";

const use = (used: number, limit = 100, of: LimitUse["of"] = "process"): LimitUse => {
  return { quota: "tokens", of, limit, used };
};

it("tells each process once that nine tenths are used, and again when they were not meanwhile", () => {
  const pressure = new Pressure();
  const one = { pid: 1n };
  expect(pressure.note(one, [use(89)])).toEqual([]);
  const event = { quota: "tokens", of: "process", limit: 100n, used: 90n };
  expect(pressure.note(one, [use(90)])).toEqual([event]);
  expect(pressure.note(one, [use(99)])).toEqual([]);
  // Another's quota, and another process, are told apart.
  expect(pressure.note(one, [use(99), use(95, 100, "principal")])).toMatchObject([
    { of: "principal" },
  ]);
  expect(pressure.note({ pid: 2n }, [use(99)])).toHaveLength(1);
  expect(pressure.note(one, [use(50)])).toEqual([]);
  expect(pressure.note(one, [use(91)])).toHaveLength(1);
  pressure.forget(2n);
  expect(pressure.note({ pid: 2n }, [use(99)])).toHaveLength(1);
});

it("says nothing of what has no limit, or none at all", () => {
  const pressure = new Pressure();
  expect(pressure.note({ pid: 1n }, [use(1e12, Number.POSITIVE_INFINITY), use(0, 0)])).toEqual([]);
});
