/** The rows of mutants fit the tree: a stale row guards nothing, and a run of them all is long. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { MUTANTS } from "./mutants/mutants.mjs";

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8");

it("have names of their own", () => {
  const names = MUTANTS.map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

describe.each(MUTANTS)("$name", ({ file, from, to, tests, only }) => {
  it("changes a text that stands once in its file, and names tests that are there", () => {
    expect(read(file).split(from).length - 1, `"${from}" in ${file}`).toBe(1);
    expect(to).not.toBe(from);
    const suite = tests.map(read).join("\n");
    if (only !== undefined) expect(suite).toContain(only);
  });
});
