import { expect, test } from "vitest";
import { decodeSteps, partsOf, type StepTrace } from "./trace.js";

const STEP: StepTrace = {
  rows: 16,
  prefill: false,
  period: 30,
  run: 27,
  prepare: 0.25,
  sample: 1,
  burst: 1.5,
  stops: 0.25,
  encode: 0.125,
  write: 0.25,
};

test("the parts of a step add up to what is outside of the runtime", () => {
  const parts = partsOf(STEP, 0.5);
  expect(parts).toMatchObject({ run: 26.5, outside: 3.5, call: 0.5, text: 0.25, sample: 1 });
  const { call, prepare, sample, stops, text, encode, write, loop, outside } = parts;
  expect(call + prepare + sample + stops + text + encode + write + loop).toBeCloseTo(outside);
  expect(parts.share).toBeCloseTo(3.5 / 30);
});

test("only steps of that many rows and without a chunk count", () => {
  const steps = [STEP, { ...STEP, rows: 15 }, { ...STEP, prefill: true }, { ...STEP, run: 0 }];
  expect(decodeSteps({ asyncCallMs: 0, steps }, 16)).toHaveLength(1);
});
