import fc from "fast-check";
import { expect, test } from "vitest";
import { readId, showId } from "./ids.js";

test("ids are shown as node and counter", () => {
  expect(showId((1n << 52n) | 17n)).toBe("n1.17");
  expect(readId("pid", "n1.17")).toBe((1n << 52n) | 17n);
});

test("every id reads back as itself", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (id) => {
      expect(readId("pid", showId(id))).toBe(id);
    }),
  );
});

test.each(["", "17", "n1", "n1.", "n4096.1", `n1.${1n << 52n}`, "n1.17 ", 17, undefined])(
  "%j is no id, and the error names the argument",
  (id) => {
    expect(() => readId("pid", id)).toThrow(/^pid: expected an id such as "n1.17"/);
  },
);
