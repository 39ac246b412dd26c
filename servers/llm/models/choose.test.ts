import { readdirSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { textWindows } from "./calibrate.js";
import { type ChoiceSpace, choose, chosen, compared, verdict } from "./choose.js";
import { compile } from "./compile.js";
import { tinyInput } from "./tiny.js";

const { form: FORM, ...INPUT } = tinyInput();
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

it("takes int8 where it is a tenth faster and as good, and says at how many places that was seen", () => {
  const near = { nll: 0.01, top1: 0.94, places: 4088 };
  expect(verdict(1.1, near)).toEqual({
    form: { recipe: "int8", kv: "fp32" },
    reason:
      "int8 decodes 1.10 times as fast as q8 at 8 rows, with +0.0100 nats a token, 94.0 % same likeliest tokens as fp32 at 4088 places",
  });
  expect(verdict(1.4, { ...near, places: 700 }).reason).toMatch(/ at 700 places$/);
  const refused = [
    [1.09, near, /1\.1 is wanted of it$/],
    [1.4, { ...near, nll: 0.0101 }, /loses too much: \+0\.0101 nats .* at 4088 places$/],
    [1.4, { ...near, top1: 0.939 }, /loses too much: .* 93\.9 %/],
    [1.4, { ...near, nll: Number.NaN }, /loses too much/],
    [1.4, undefined, /tokenizer leaves no text/],
  ] as const;
  for (const [gain, found, why] of refused) {
    const { form, reason } = verdict(gain, found);
    expect(form, reason).toMatchObject({ recipe: "q8" });
    expect(reason).toMatch(why);
  }
});

it("compares at 4,000 places of text that was not calibrated on, or at as many as there are", async () => {
  const windows = (count: number, length: number) => {
    return Array.from({ length: count }, (_, i) => Array<number>(length).fill(i));
  };
  const eight = compared(windows(30, 512));
  expect(eight.map(([window]) => window)).toEqual([22, 23, 24, 25, 26, 27, 28, 29]);
  expect(compared(windows(300, 64))).toHaveLength(64);
  expect(compared(windows(3, 512))).toHaveLength(3);
  expect(compared(windows(3, 1))).toEqual([]);
  expect(compared([])).toEqual([]);
  const dir = await compile(parent, { ...INPUT, form: FORM });
  const { read, unread } = await textWindows(dir, INPUT.shape);
  expect(read).toHaveLength(4);
  expect(compared(unread)).toHaveLength(8);
  const text = (parts: readonly (readonly number[])[]) => parts.map((part) => part.join(" "));
  expect(text(read).filter((window) => text(unread).includes(window))).toEqual([]);
});

it("takes no damaged record for a choice", async () => {
  await choose(space({ weights: 1000 }), INPUT);
  const [name] = await readdir(join(parent, ".choices"));
  await mkdir(parent, { recursive: true });
  await writeFile(join(parent, ".choices", name ?? ""), '{"format":1,"recipe":"q');
  expect(await chosen(parent, INPUT.weightsDigest)).toBeUndefined();
});
