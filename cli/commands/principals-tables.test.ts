/** The tables of `contix principal ls` and `contix key ls`. */
import pc from "picocolors";
import { expect, it } from "vitest";
import { keysTable } from "./key.js";
import { principalsTable } from "./principal.js";

const plain = pc.createColors(false);
const at = (day: number): Date => new Date(Date.UTC(2026, 10, day, 9, 5));

it("principals: what each has", () => {
  const row = { keys: 2, processes: 1, contexts: 30, tokens: 12_345, createdAt: at(1), quota: {} };
  expect(principalsTable([{ name: "alice", ...row }], plain)).toBe(
    [
      "PRINCIPAL  KEYS  AGENTS  CONTEXTS  TOKENS  SINCE",
      "alice         2       1        30  12,345  2026-11-01 09:05",
    ].join("\n"),
  );
});

it("keys: what each opens, and whether it is good", () => {
  const key = { principal: "alice", name: "ci", scopes: ["*"], processes: 0, createdAt: at(1) };
  const good = { ...key, id: "a", expiresAt: null, revokedAt: null };
  const lines = keysTable(
    [
      good,
      { ...good, id: "b", expiresAt: at(9), scopes: ["llm", "ctx"] },
      { ...good, id: "c", expiresAt: at(3) },
      { ...good, id: "d", expiresAt: at(3), revokedAt: at(2) },
    ],
    plain,
    at(5),
  ).split("\n");
  expect(lines.map((line) => line.split(/\s{2,}/).slice(2))).toEqual([
    ["NAME", "SCOPES", "AGENTS", "STATE"],
    ["ci", "all but admin", "0", "good"],
    ["ci", "llm,ctx", "0", "good until 2026-11-09 09:05"],
    ["ci", "all but admin", "0", "expired 2026-11-03 09:05"],
    ["ci", "all but admin", "0", "revoked 2026-11-02 09:05"],
  ]);
});
