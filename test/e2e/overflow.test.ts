/** Paging of meaning, from outside: conversations longer than their window. */
import { describe, expect, it } from "vitest";
import type { Context, ContextEdit, Signal } from "../../syscalls/index.js";
import { start, until } from "../support/kernels.js";

const WINDOW = 1024;
const FACT = "My dog is called Bartholomew and he is eleven years old.";
const short = { maxTokens: 30, temperature: 0 } as const;

/** Turns about other things, until so many tokens went in. */
async function talk(ctx: Context, tokens: number): Promise<ContextEdit[]> {
  const edits: ContextEdit[] = [];
  let said = 0;
  for (let turn = 1; said < tokens; turn++) {
    const text = `Turn ${turn}: ${"tell me more of the sea and the hills. ".repeat(3)}`;
    const { usage, edit } = await ctx.chat(text, short);
    said += text.length + usage.generatedTokens;
    if (edit) edits.push(edit);
    expect((await ctx.stat()).length).toBeLessThanOrEqual(WINDOW);
  }
  return edits;
}

describe("a conversation three windows long", () => {
  it.each(["oldest", "relevance"] as const)(
    "goes on under the policy %s, and recall finds a fact of its first turn",
    async (overflow) => {
      const kernel = await start({ slotTokens: WINDOW });
      await using os = await kernel.connect();
      const heard: Signal[] = [];
      os.on("CTXHIGH", (signal) => heard.push(signal));
      os.on("CTXEDIT", (signal) => heard.push(signal));
      await using ctx = await os.ctx.create({ overflow });
      await ctx.append({ role: "system", content: "You are brief." });
      await ctx.chat(FACT, short);
      const edits = await talk(ctx, 3 * WINDOW);
      expect(edits.length).toBeGreaterThan(2);
      for (const { length } of edits) expect(length).toBeLessThanOrEqual(WINDOW / 2);
      // What was moved out is told by the replies and by signals, in the same order.
      const told = heard.flatMap(({ name, context }) =>
        name === "CTXEDIT" ? [context?.edit] : [],
      );
      expect(told).toEqual(edits);
      expect(heard.every(({ context }) => context?.cid === ctx.cid)).toBe(true);
      const high = heard.filter(({ name }) => name === "CTXHIGH");
      expect(high.length).toBeGreaterThan(0);
      expect(high.length).toBeLessThanOrEqual(edits.length + 1);
      const all = await ctx.filed({ limit: 1000 });
      expect(all.segments.map(({ segment }) => segment)).toEqual(
        edits.flatMap(({ movedOut }) => movedOut).sort((a, b) => a - b),
      );
      const [best] = (await ctx.filed({ query: "What is the dog called?" })).segments;
      const before = await ctx.stat();
      const found = await ctx.recall("What is the dog called?");
      expect(found.text).toContain(FACT);
      expect(found.segment).toBe(best?.segment);
      expect(found.length).toBe((found.edit?.length ?? before.length) + found.appended);
      expect((await ctx.recall(found.segment)).appended).toBe(0);
      expect((await ctx.chat("And now?", short)).text).not.toBe("");
    },
  );

  it("answers the same when the edited context is rebuilt from its tokens", async () => {
    const answers = [];
    for (const disturbed of [false, true]) {
      const kernel = await start({ slotTokens: WINDOW, slots: 1 });
      await using os = await kernel.connect();
      await using ctx = await os.ctx.create();
      const texts: string[] = [];
      for (let turn = 0; turn < 24; turn++) {
        // Somebody else takes the only slot, so that all is computed again.
        if (disturbed) await os.llm.generate("somebody else", { maxTokens: 3 });
        const { text } = await ctx.chat(`Turn ${turn}, ${"blah ".repeat(20)}`, {
          ...short,
          ...{ temperature: 0.8, seed: turn },
        });
        texts.push(text);
      }
      expect((await ctx.filed()).count).toBeGreaterThan(0);
      answers.push(texts);
    }
    expect(answers[1]).toEqual(answers[0]);
  });
});

describe("the mark at three quarters", () => {
  it("is told once, and again after the context was below it", async () => {
    const kernel = await start({ slotTokens: WINDOW });
    await using os = await kernel.connect();
    const heard: (number | undefined)[] = [];
    os.on("CTXHIGH", ({ context }) => heard.push(context?.length));
    await using ctx = await os.ctx.create({ overflow: "none" });
    await ctx.append("x".repeat(768));
    await ctx.append("x");
    await ctx.append("x");
    await ctx.truncate(700);
    await ctx.append("x".repeat(100));
    await ctx.append("x");
    expect(heard).toEqual([769, 800]);
  });

  it("is told of an answer that nobody reads to its end", async () => {
    const kernel = await start({ slotTokens: WINDOW, stepUs: 1000 });
    await using os = await kernel.connect();
    const heard: (number | undefined)[] = [];
    os.on("CTXHIGH", ({ context }) => heard.push(context?.length));
    await using ctx = await os.ctx.create({ overflow: "none" });
    await ctx.append("x".repeat(700));
    const answer = ctx.generate({ maxTokens: 300, ignoreEos: true });
    const reader = answer[Symbol.asyncIterator]();
    await reader.next();
    await until(async () => (await ctx.stat()).length > 768);
    expect(heard).toEqual([]);
    await reader.return?.();
    await until(async () => heard.length > 0);
    expect(heard[0]).toBe((await ctx.stat()).length);
  });
});

it("what is moved out takes its pages along", async () => {
  const kernel = await start({ slotTokens: WINDOW });
  await using os = await kernel.connect();
  await using ctx = await os.ctx.create();
  for (const text of ["one ", "two ", "three "]) await ctx.append(text.repeat(60));
  await ctx.generate(short);
  await until(async () => (await ctx.stat()).pagesInMemory > 2);
  const { edit } = await ctx.append("four ".repeat(60));
  expect(edit?.kept).toBe(0);
  expect((await ctx.stat()).pagesInMemory).toBe(0);
});

describe("what does not fit", () => {
  it("is ENOMEM with both numbers when it could never, or nothing may be moved out", async () => {
    const kernel = await start({ slotTokens: WINDOW });
    await using os = await kernel.connect();
    const refused = { code: "ENOMEM", message: expect.stringMatching(/\d{4,} tokens.*1024/) };
    await expect(os.llm.generate("x".repeat(2000))).rejects.toMatchObject(refused);
    await using none = await os.ctx.create({ overflow: "none" });
    await none.append("x".repeat(1000));
    await expect(none.append("x".repeat(100))).rejects.toMatchObject(refused);
    await using kept = await os.ctx.create();
    await kept.append("x".repeat(600), { keep: true });
    await expect(kept.append("x".repeat(500))).rejects.toMatchObject(refused);
    await expect(kept.append("x".repeat(2000))).rejects.toMatchObject(refused);
    expect((await kept.stat()).length).toBe(600);
    expect(await kept.filed()).toEqual({ segments: [], count: 0, tokens: 0 });
  });

  it("keeps tools and what the caller keeps; plain texts leave too", async () => {
    const kernel = await start({ slotTokens: WINDOW });
    await using os = await kernel.connect();
    await using ctx = await os.ctx.create();
    await ctx.append("the tools ".repeat(10), { segment: "tools" });
    await ctx.append("a note to keep ".repeat(10), { keep: true });
    for (const text of ["one ", "two ", "three "]) await ctx.append(text.repeat(60));
    const { edit } = await ctx.append("four ".repeat(60));
    // Tools and the note are segments 1 and 2.
    expect(edit?.movedOut).not.toContain(1);
    expect(edit?.movedOut).not.toContain(2);
    expect(edit?.kept).toBe(250);
    expect((await ctx.recall(3)).text).toBe("one ".repeat(60));
  });
});

describe("mistakes", () => {
  it("are typed, and say what would be right", async () => {
    const kernel = await start({ slotTokens: WINDOW });
    await using os = await kernel.connect();
    const odd = { overflow: "newest" as "none" };
    await expect(os.ctx.create(odd)).rejects.toMatchObject({
      code: "EINVAL",
      argument: "overflow",
    });
    await using ctx = await os.ctx.create();
    const wrong = { segment: "page" as "tools" };
    await expect(ctx.append("x", wrong)).rejects.toMatchObject({
      ...{ code: "EINVAL", argument: "segment" },
    });
    await ctx.append("hello");
    for (const what of [1, 77, "hello"]) {
      await expect(ctx.recall(what)).rejects.toMatchObject({ code: "ENOENT" });
    }
    await expect(ctx.recall("")).rejects.toMatchObject({ code: "EINVAL", argument: "query" });
    await expect(ctx.recall("x".repeat(5000))).rejects.toMatchObject({ code: "E2BIG" });
    await expect(ctx.forget([1])).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("do not forget for good what nobody asked to forget", async () => {
    const kernel = await start({ slotTokens: WINDOW });
    await using os = await kernel.connect();
    await using ctx = await os.ctx.create();
    for (let i = 0; i < 8; i++) await ctx.append("some words that fill the window ".repeat(10));
    const { segments, count } = await ctx.filed();
    await ctx.forget([1]);
    await expect(ctx.recall(1)).rejects.toMatchObject({ code: "ENOENT" });
    expect((await ctx.filed()).count).toBe(count - 1);
    expect((await ctx.recall(segments[1]?.segment ?? 0)).text).toContain("fill the window");
  });
});
