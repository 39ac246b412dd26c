/**
 * Paging of meaning on the real model: a conversation three times as long as its window.
 * That `recall` finds the segment that holds a fact of the first turn is asserted; what the
 * small model makes of it is printed, and written to the file that CONTIX_REPORT names.
 */
import { appendFile, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { openLibrary } from "../../servers/llm/models/library.js";
import type { Context, OverflowOptions } from "../../syscalls/index.js";
import { TestedKernel } from "./law2-contexts.js";

const MODEL = "smollm2-135m-instruct";
const WINDOW = 512;
const FACT = "My dog Bartholomew buried the silver key under the old pear tree.";
const QUESTION = "Where did my dog Bartholomew bury the silver key?";
const TEXT = new URL("../../bench/texts/tom-sawyer.txt", import.meta.url);
/** Words of a turn about something else. */
const PASSAGE = 50;
const ASK = { maxTokens: 40, temperature: 0 } as const;

// Minutes, and a model: `npm run test:law2`.
const skip = process.env.CONTIX_LAW2 !== "real";

test.skipIf(skip).each<[string, OverflowOptions]>([
  ["oldest first", { overflow: "oldest" }],
  ["oldest first, summed up", { overflow: "oldest", summaries: true }],
  ["least relevant first", { overflow: "relevance" }],
])(
  "recall finds a fact of the first turn of three windows, %s",
  async (name, options) => {
    const library = openLibrary();
    await library.pull(MODEL);
    const dir = await library.compiled(MODEL, { kv: "fp32" });
    const treatment = { config: { slotTokens: WINDOW }, pageMemory: 2 ** 28 };
    await using kernel = await TestedKernel.open(dir, treatment);
    const ctx = await kernel.os.ctx.create(options);
    await ctx.append({ role: "system", content: "You are a helpful assistant. Answer briefly." });
    await ctx.chat(FACT, ASK);
    const turns = await talk(ctx);
    const filed = await ctx.filed({ limit: 1000 });
    expect(filed.segments.some(({ begins }) => begins.includes("Bartholomew"))).toBe(true);

    const without = await (await ctx.fork()).chat(QUESTION, ASK);
    const found = await ctx.recall(QUESTION);
    expect(found.text).toContain(FACT);
    expect(found.appended).toBeGreaterThan(0);
    const after = await ctx.chat(QUESTION, ASK);
    await report([
      `## ${name}`,
      `${turns} turns; ${filed.count} segments with ${filed.tokens} tokens moved out of a window of ${WINDOW}`,
      `- without recall: ${quoted(without.text)}`,
      `- after recall of segment ${found.segment}: ${quoted(after.text)}`,
    ]);
  },
  600_000,
);

/** Turns about other things, until three windows went in. @returns how many */
async function talk(ctx: Context): Promise<number> {
  const words = (await readFile(TEXT, "utf8")).split(/\s+/);
  for (let turn = 0; ; turn++) {
    const { tokens } = await ctx.filed();
    const { length } = await ctx.stat();
    expect(length).toBeLessThanOrEqual(WINDOW);
    if (tokens + length >= 3 * WINDOW) return turn;
    const passage = words.slice(turn * PASSAGE, (turn + 1) * PASSAGE).join(" ");
    await ctx.chat(`What do you think of this? ${passage}`, { ...ASK, maxTokens: 24 });
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.trim());
}

async function report(lines: readonly string[]): Promise<void> {
  const text = `${lines.join("\n")}\n`;
  console.log(text);
  if (process.env.CONTIX_REPORT) await appendFile(process.env.CONTIX_REPORT, `${text}\n`);
}
