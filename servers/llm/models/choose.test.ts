import { readdirSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type ChoiceSpace, choose, chosen } from "./choose.js";
import { tinyInput } from "./tiny.js";

const { form: _, ...INPUT } = tinyInput();
let parent: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "contix-choose-"));
});
afterEach(() => rm(parent, { recursive: true }));

function space(changes: Partial<ChoiceSpace> = {}): ChoiceSpace {
  const freeBytes = async () => Number.POSITIVE_INFINITY;
  return { parent, weights: 2 ** 25, freeBytes, ...changes };
}

it("measures once, says why, and remembers", async () => {
  expect(await chosen(parent, INPUT.weightsDigest)).toBeUndefined();
  const notes: string[] = [];
  const hidden = new Set<string>();
  const choice = await choose(space(), INPUT, {
    onNote: (line) => notes.push(line),
    onProgress: () => {
      for (const name of readdirSync(parent)) if (name.startsWith(".")) hidden.add(name);
    },
  });
  expect(notes).toHaveLength(1);
  expect(["q8", "int8"]).toContain(choice.recipe);
  expect(choice.reason).toMatch(/int8 decodes \d+\.\d\d times as fast as q8/);
  expect(choice.recipe === "int8").toBe(
    /nats a token/.test(choice.reason) && !/too much/.test(choice.reason),
  );
  expect(await chosen(parent, INPUT.weightsDigest)).toEqual(choice);
  // What a kill at any moment would leave is known to `gc`, and here nothing is left.
  expect([...hidden].filter((name) => !name.startsWith(`.staging-${process.pid}-`))).toEqual([]);
  expect(hidden.size).toBeGreaterThan(0);
  expect((await readdir(parent)).filter((name) => hidden.has(name))).toEqual([]);
});

it.each([
  ["small", { weights: 1000 }, /small/],
  ["too large", { weights: 2 ** 50 }, /too large/],
  ["a full disk", { freeBytes: async () => 10 }, /no room/],
] as const)("takes q8 unmeasured: %s", async (_name, changes, reason) => {
  const choice = await choose(space(changes), INPUT);
  expect(choice).toMatchObject({ recipe: "q8", kv: "fp32" });
  expect(choice.reason).toMatch(reason);
  expect(await readdir(parent)).toEqual([".choices"]);
});

it("takes no damaged record for a choice", async () => {
  await choose(space({ weights: 1000 }), INPUT);
  const [name] = await readdir(join(parent, ".choices"));
  await mkdir(parent, { recursive: true });
  await writeFile(join(parent, ".choices", name ?? ""), '{"format":1,"recipe":"q');
  expect(await chosen(parent, INPUT.weightsDigest)).toBeUndefined();
});
