import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeId, parseId, showId } from "./ids.js";

describe("ids", () => {
  it("are read as they are shown", () => {
    fc.assert(
      fc.property(fc.nat(4095), fc.nat(Number.MAX_SAFE_INTEGER - 1), (node, counter) => {
        const id = makeId(node, counter % 2 ** 52);
        expect(parseId(showId(id))).toBe(id);
        expect(id < 1n << 64n).toBe(true);
      }),
    );
    expect(showId(makeId(1, 17))).toBe("n1.17");
  });

  it.each(["", "17", "n1", "n1.", "n1.-1", "n4096.1", "n1.9999999999999999", "n1.1 ", "N1.1"])(
    "%j is none",
    (text) => {
      expect(() => parseId(text)).toThrow(expect.objectContaining({ code: "EINVAL" }));
    },
  );
});
