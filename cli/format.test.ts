import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes, clip, count, duration, rate, table, wrap } from "./format.js";

describe("figures", () => {
  it("groups thousands", () => {
    expect([0, 999, 1000, 1234567, 12345678901234567890n].map(count)).toEqual([
      "0",
      "999",
      "1,000",
      "1,234,567",
      "12,345,678,901,234,567,890",
    ]);
  });

  it("gives a time span the unit that fits", () => {
    const spans = [0, 7, 850, 999.6, 12_345, 999_499, 999_600, 3_400_000, 59_949_000, 59_960_000];
    expect(spans.map(duration)).toEqual([
      "0",
      "7 us",
      "850 us",
      "1 ms",
      "12 ms",
      "999 ms",
      "1.0 s",
      "3.4 s",
      "59.9 s",
      "1m00s",
    ]);
    expect([245e6, 3_599.4e6, 7_800e6, 86_399e6, 273_600e6].map(duration)).toEqual([
      "4m05s",
      "59m59s",
      "2h10m",
      "23h59m",
      "3d04h",
    ]);
  });

  it("gives bytes a binary unit", () => {
    expect([0, 1023, 1024, 98_362_432].map(bytes)).toEqual([
      "0 B",
      "1023 B",
      "1.0 KiB",
      "93.8 MiB",
    ]);
  });

  it("gives a rate three digits, and none to what is no number", () => {
    expect([7.314, 73.14, 731.4, 7314, Number.NaN].map(rate)).toEqual([
      "7.31",
      "73.1",
      "731",
      "7,314",
      "-",
    ]);
  });
});

describe("table", () => {
  const columns = [{ title: "A" }, { title: "N", right: true }, { title: "LAST" }];

  it("aligns columns and leaves no space at the ends of lines", () => {
    expect(
      table(columns, [
        ["x", "1", "one"],
        ["long", "1,000", ""],
      ]),
    ).toBe(["A         N  LAST", "x         1  one", "long  1,000"].join("\n"));
  });

  it("does not count colours as width", () => {
    const coloured = table(columns, [
      ["\u001b[32mx\u001b[39m", "1", "z"],
      ["yy", "22", "z"],
    ]);
    expect(coloured.split("\n")[1]).toBe("\u001b[32mx\u001b[39m    1  z");
  });
});

describe("wrap", () => {
  it("breaks at spaces and says where it left something out", () => {
    expect(wrap("one two three four five", 9, 2)).toEqual(["one two", "three fo…"]);
    expect(wrap("  short \n text ", 20, 2)).toEqual(["short text"]);
    expect(wrap("", 20, 2)).toEqual([]);
  });

  it("keeps within its columns and lines, whatever the text", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.integer({ min: 2, max: 40 }),
        fc.integer({ min: 1, max: 4 }),
        (text, columns, lines) => {
          const result = wrap(text, columns, lines);
          expect(result.length).toBeLessThanOrEqual(lines);
          for (const line of result.slice(-1))
            expect([...line].length).toBeLessThanOrEqual(columns);
        },
      ),
    );
  });

  it("clips by characters, not by halves of them", () => {
    expect(clip("😀😀😀😀", 3)).toBe("😀😀…");
    expect(clip("abc", 3)).toBe("abc");
  });
});
