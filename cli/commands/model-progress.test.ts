import { expect, it } from "vitest";
import { Speed } from "./model-progress.js";

const MIB = 2 ** 20;

it("tells the rate of late and the time left; what was there before does not count", () => {
  const speed = new Speed();
  speed.add(0, 50 * MIB);
  expect(speed.text(100 * MIB)).toBe("");
  speed.add(1_000, 52 * MIB);
  expect(speed.text(100 * MIB)).toBe(", 2.0 MiB/s, 24.0 s left");
  for (let ms = 2_000; ms <= 20_000; ms += 1_000) speed.add(ms, (52 + (ms - 1_000) / 1_000) * MIB);
  expect(speed.text(100 * MIB)).toBe(", 1.0 MiB/s, 29.0 s left");
  for (let ms = 21_000; ms <= 40_000; ms += 1_000) speed.add(ms, 71 * MIB);
  expect(speed.text(100 * MIB)).toBe(", stalled");
});
