/** Where a driver keeps its swap file. */
import { basename, dirname } from "node:path";
import { expect, it } from "vitest";
import { pageRoom } from "./page-room.js";

const place = (model: string): string => pageRoom({ home: "/h", swap: "1GiB" }, model, 0).swap;

it("each model has a swap file of its own, whatever it is called", () => {
  const models = ["a/b", "a_b", "a:b", "A_b", "..", "m".repeat(300), `${"m".repeat(300)}n`];
  const places = models.map(place);
  expect(new Set(places.map((path) => path.toLowerCase())).size).toBe(models.length);
  for (const path of places) {
    expect(dirname(path)).toBe("/h/swap");
    expect(basename(path)).toMatch(/^[\w.@-]{1,100}\.swap$/);
  }
  expect(place("a/b")).toMatch(/\/a_b-/);
});

it("without swap there is none", () => {
  expect(pageRoom({ home: "/h", swap: "0" }, "m", 7)).toEqual({
    ...{ pageMemory: 7n, swap: "", swapSize: 0n },
  });
});
