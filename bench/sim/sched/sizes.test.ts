import { expect, test } from "vitest";
import { spreadOf } from "./sizes.js";

test("sizes that are all alike have no spread, and the more was had the less is left", () => {
  expect(spreadOf([4, 4, 4])).toEqual({ cv2: 0, rest: [0.5, 0, 0] });
});

test("of exponential sizes the past says nothing", () => {
  const n = 20_000;
  const sizes = Array.from({ length: n }, (_, i) => -100 * Math.log((i + 0.5) / n));
  const { cv2, rest } = spreadOf(sizes);
  for (const one of [cv2, ...rest]) expect(one).toBeCloseTo(1, 1);
});

test("of sizes with a heavy tail, who had more has more left", () => {
  const sizes = [...Array.from({ length: 99 }, () => 1), 901];
  expect(spreadOf(sizes)).toEqual({ cv2: 80.19, rest: [89.6, 89.1, 88.1] });
});
