import { describe, expect, it } from "vitest";
import { DURATION, durationUs, MEMORY, memoryBytes } from "./units.js";

describe("a duration", () => {
  it.each([
    ["0", 0],
    ["1500", 1_500_000],
    ["250ms", 250_000],
    ["90s", 90_000_000],
    ["5m", 300_000_000],
    ["2h", 7_200_000_000],
  ])("%s is %d us", (text, us) => expect(durationUs(text)).toBe(us));
  it.each(["", "m", "-5m", "5 m", "5d", "1e9"])("%j is none", (text) =>
    expect(DURATION.test(text)).toBe(false),
  );
});

describe("a size of memory", () => {
  it.each([
    ["80%", 800],
    ["100%", 1000],
    ["0%", 0],
    ["4096", 4096],
    ["64k", 65_536],
    ["512M", 2 ** 29],
    ["1.5GiB", 1.5 * 2 ** 30],
    ["2 gb", 2 ** 31],
  ])("%s is %d bytes of a machine of 1000", (text, bytes) =>
    expect(memoryBytes(text, 1000)).toBe(bytes),
  );
  it.each(["", "%", "101%", "-1", "4x", "GiB", "1e9"])("%j is none", (text) =>
    expect(MEMORY.test(text)).toBe(false),
  );
});
