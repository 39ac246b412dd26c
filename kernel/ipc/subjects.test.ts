import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkPattern, checkSubject, covers, matches } from "./subjects.js";

describe("a pattern", () => {
  it.each([
    ["a.b", "a.b", true],
    ["a.b", "a", false],
    ["a", "a.b", false],
    ["a.*", "a.b", true],
    ["a.*", "a.b.c", false],
    ["*.b", "a.b", true],
    ["*", "a.b", false],
    [">", "a.b.c", true],
    ["a.>", "a.b.c", true],
    ["a.>", "a", false],
    ["a.*.c", "a.b.c", true],
    ["a.*.c", "a.b.d", false],
  ])("%s takes %s: %s", (pattern, subject, expected) => {
    expect(matches(pattern, subject)).toBe(expected);
  });

  it.each(["", "a..b", ".a", "a.", "a.>.b", "a b", "a.b*", "x>", "\n", "a".repeat(257)])(
    "is never %j",
    (text) => {
      expect(() => checkPattern("pattern", text)).toThrow(/^pattern is /);
      expect(() => checkSubject("subject", text)).toThrow(/^subject is /);
    },
  );

  it("is no subject where it has wildcards", () => {
    for (const text of ["*", ">", "a.*", "a.>"]) {
      expect(checkPattern("pattern", text)).toBe(text);
      expect(() => checkSubject("subject", text)).toThrow(/without/);
    }
  });
});

it("covers another exactly when it takes all that the other takes", () => {
  const words = fc.constantFrom("a", "b");
  const subjects = fc.array(words, { minLength: 1, maxLength: 4 }).map((all) => all.join("."));
  const patterns = fc
    .tuple(fc.array(fc.constantFrom("a", "b", "*"), { maxLength: 3 }), fc.boolean())
    .filter(([all, rest]) => all.length > 0 || rest)
    .map(([all, rest]) => [...all, ...(rest ? [">"] : [])].join("."));
  fc.assert(
    fc.property(patterns, patterns, subjects, (outer, inner, subject) => {
      if (covers(outer, inner) && matches(inner, subject)) {
        expect(matches(outer, subject)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
  // The other way round over all subjects of up to five words, which tell any two such patterns apart.
  const all = (n: number): string[] =>
    n === 0 ? [""] : ["a", "b", "c"].flatMap((w) => all(n - 1).map((r) => (r ? `${w}.${r}` : w)));
  const every = [1, 2, 3, 4, 5].flatMap(all);
  fc.assert(
    fc.property(patterns, patterns, (outer, inner) => {
      const takesAll = every.every((s) => !matches(inner, s) || matches(outer, s));
      expect(covers(outer, inner)).toBe(takesAll);
    }),
    { numRuns: 100 },
  );
});
