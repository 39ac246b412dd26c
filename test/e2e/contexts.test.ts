/** Contexts with a life of their own: forks, cuts, owners, ends. On real daemons with the fake driver. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Context, Os } from "../../syscalls/index.js";
import { startTestKernel, type TestKernel } from "../../syscalls/testing.js";
import { osPidOf, spawnAgent, start, until } from "../support/kernels.js";

const ASK = { maxTokens: 12, seed: 7, ignoreEos: true };

/** Of all tests that need nothing special: each has a process of its own on it. */
let kernel: TestKernel;
beforeAll(async () => {
  kernel = await startTestKernel();
});
afterAll(() => kernel.stop());

/** A context with given and generated runs. */
async function conversation(os: Os): Promise<Context> {
  const ctx = await os.ctx.create();
  await ctx.append({ role: "system", content: "You count sheep." });
  await ctx.chat("How many?", ASK);
  return ctx;
}

describe("a fork", () => {
  it("has the same history, goes on as its source does, and leaves it alone", async () => {
    await using os = await kernel.connect();
    const source = await conversation(os);
    const before = await source.stat();
    const fork = await source.fork();
    expect(await fork.stat()).toMatchObject({
      ...{ length: before.length, given: before.given, generated: before.generated },
      ...{ from: source.cid, owner: os.pid, model: before.model, engine: before.engine },
    });
    const a = await fork.chat("And now?", ASK);
    expect((await source.stat()).length).toBe(before.length);
    expect((await source.chat("And now?", ASK)).tokens).toEqual(a.tokens);
    await source.close();
    expect((await fork.chat("Still there?", ASK)).tokens).toHaveLength(12);
  });

  it("of the first tokens equals a source that was cut there, wherever that is", async () => {
    await using os = await kernel.connect();
    const source = await conversation(os);
    const { length } = await source.stat();
    for (const at of [0, 1, 2, 15, 16, 17, length - 12, length - 11, length - 1, length]) {
      const fork = await source.fork({ length: at });
      const cut = await source.fork();
      await cut.generate({ ...ASK, maxTokens: 3 });
      await cut.truncate(at);
      for (const ctx of [fork, cut]) await ctx.append(" more");
      expect((await fork.generate(ASK)).tokens).toEqual((await cut.generate(ASK)).tokens);
      const [a, b] = [await fork.stat(), await cut.stat()];
      expect([a.given, a.generated]).toEqual([b.given, b.generated]);
      await Promise.all([fork.close(), cut.close()]);
    }
  });

  it("is refused beyond its source's end", async () => {
    await using os = await kernel.connect();
    const source = await os.ctx.create();
    await expect(source.fork({ length: 1 })).rejects.toMatchObject({
      code: "EINVAL",
      argument: "length",
    });
  });
});

describe("a cut", () => {
  it("takes a turn back: the same question gets the same answer", async () => {
    await using os = await kernel.connect();
    const ctx = await conversation(os);
    const { length } = await ctx.stat();
    const first = await ctx.chat("And now?", ASK);
    const grown = (await ctx.stat()).length;
    expect(await ctx.truncate(length)).toEqual({ removed: grown - length, length });
    const again = await ctx.chat("And now?", ASK);
    expect(again.tokens).toEqual(first.tokens);
    expect(again.usage.promptTokens).toBe(first.usage.promptTokens);
    expect((await ctx.stat()).length).toBe(grown);
  });

  it("of a given run to its first token lets that token enter anew, by decode", async () => {
    await using os = await kernel.connect();
    const [ctx, fresh] = [await os.ctx.create(), await os.ctx.create()];
    await ctx.append({ tokens: [104, 105, 106] });
    await ctx.generate(ASK);
    await ctx.truncate(1);
    await fresh.append({ tokens: [104] });
    expect((await ctx.generate(ASK)).tokens).toEqual((await fresh.generate(ASK)).tokens);
  });

  it("clears a context, which then is as a new one", async () => {
    await using os = await kernel.connect();
    const ctx = await conversation(os);
    await ctx.clear();
    expect(await ctx.stat()).toMatchObject({ length: 0, given: 0, generated: 0 });
    const fresh = await os.ctx.create();
    const [a, b] = [await ctx.chat("Hello", ASK), await fresh.chat("Hello", ASK)];
    expect(a.tokens).toEqual(b.tokens);
    expect((await ctx.stat()).length).toBe((await fresh.stat()).length);
  });

  it("lets go of the pages behind it, and a short fork never has them", async () => {
    await using os = await kernel.connect();
    const ctx = await conversation(os);
    await ctx.append("and they count you. ".repeat(8));
    await ctx.generate(ASK);
    await ctx.pin();
    await until(async () => (await ctx.stat()).pagesInMemory > 2);
    const fork = await ctx.fork({ length: 20 });
    expect(await fork.stat()).toMatchObject({ pages: 1, pagesInMemory: 1 });
    await ctx.truncate(20);
    expect(await ctx.stat()).toMatchObject({ pages: 1, pagesInMemory: 1 });
    await ctx.truncate(0);
    expect(await ctx.stat()).toMatchObject({ pages: 0, pagesInMemory: 0 });
  });

  it("is refused behind the end, and nothing is cut", async () => {
    await using os = await kernel.connect();
    const ctx = await os.ctx.create();
    await ctx.append("four");
    const refused = {
      code: "EINVAL",
      argument: "length",
      message: expect.stringMatching(/0 to 4/),
    };
    await expect(ctx.truncate(5)).rejects.toMatchObject(refused);
    expect((await ctx.stat()).length).toBe(4);
  });

  it("waits its turn: EBUSY while a generation runs, and for nobody else", async () => {
    const kernel = await start({ stepUs: 2000 });
    await using os = await kernel.connect();
    const ctx = await conversation(os);
    const other = await ctx.fork();
    const answer = ctx.generate({ ...ASK, maxTokens: 500 });
    const reader = answer[Symbol.asyncIterator]();
    await reader.next();
    for (const call of [() => ctx.truncate(0), () => ctx.pin(), () => ctx.give(null)]) {
      await expect(call()).rejects.toMatchObject({ code: "EBUSY" });
    }
    expect(await ctx.stat()).toMatchObject({ busy: true, idleMs: 0 });
    await other.clear();
    await reader.return?.();
    await ctx.truncate(1);
  });
});

describe("an owner", () => {
  it("that dies takes its contexts along, but not those that it gave away", async () => {
    await using os = await kernel.connect();
    const agent = await spawnAgent(
      os,
      `const own = await os.ctx.create();
       const gift = await os.ctx.create();
       const kept = await os.ctx.create();
       await gift.append("for you");
       await gift.give(${JSON.stringify(os.pid)});
       await kept.give(null);
       await os.ipc.send(${JSON.stringify(os.pid)}, [own.cid, gift.cid, kept.cid].join(" "));
       await os.ipc.recv();`,
    );
    const [own = "", gift = "", kept = ""] = (await os.ipc.recv()).text.split(" ");
    const all = async () => (await os.ctx.list({ all: true })).map(({ cid }) => cid);
    expect(new Set(await all())).toEqual(new Set([own, gift, kept]));
    expect((await os.ctx.list()).map(({ cid }) => cid)).toEqual([gift]);
    await expect(os.ctx.open(own)).rejects.toMatchObject({ code: "EBUSY", argument: "cid" });
    process.kill(await osPidOf(os, agent.pid), "SIGKILL");
    await agent.wait();
    expect(new Set(await all())).toEqual(new Set([gift, kept]));
    expect(await os.ctx.stat(kept)).toMatchObject({ owner: null, principal: "admin" });
    await using mine = await os.ctx.open(gift);
    expect((await mine.generate(ASK)).tokens).toHaveLength(12);
    await using opened = await os.ctx.open(kept);
    expect((await opened.stat()).owner).toBe(os.pid);
    expect((await os.ctx.open(kept)).cid).toBe(kept);
  });

  it("that gave a context away has no handle on it any more", async () => {
    await using os = await kernel.connect();
    await using other = await kernel.connect();
    const ctx = await os.ctx.create();
    await ctx.give(other.pid);
    await expect(ctx.stat()).rejects.toMatchObject({ code: "EBADF", argument: "handle" });
    await ctx.close();
    expect(await other.ctx.list()).toMatchObject([{ cid: ctx.cid, owner: other.pid }]);
    await expect((await os.ctx.create()).give("n1.4000")).rejects.toMatchObject({
      code: "ESRCH",
      argument: "pid",
    });
  });
});

describe("a context", () => {
  it("ends when its time to live is over, and its id is not used again", async () => {
    await using os = await kernel.connect();
    const brief = await os.ctx.create({ ttlMs: 20 });
    const lasting = await os.ctx.create({ ttlMs: 3_600_000 });
    await until(async () => (await os.ctx.list()).length === 1);
    await expect(brief.append("late")).rejects.toMatchObject({ code: "EBADF" });
    await brief.close().catch(() => undefined);
    expect((await os.ctx.create()).cid).not.toBe(brief.cid);
    expect(await lasting.stat()).toMatchObject({ ttlMs: 3_600_000 });
  });

  it("is idle at once when an append was cancelled, whatever the tokenizer does", async () => {
    await using os = await kernel.connect();
    const ctx = await os.ctx.create();
    const { driverPid } = await os.sys.uname();
    process.kill(driverPid, "SIGSTOP");
    const stop = new AbortController();
    const slow = ctx.append("text", { signal: stop.signal });
    await until(async () => (await ctx.stat()).busy);
    stop.abort();
    await expect(slow).rejects.toMatchObject({ name: "AbortError" });
    await ctx.truncate(0);
    process.kill(driverPid, "SIGCONT");
    await ctx.append("text");
    expect((await ctx.stat()).length).toBe(4);
  });

  it("keeps what was advised to itself, and takes a share only while it is empty", async () => {
    await using os = await kernel.connect();
    const ctx = await os.ctx.create({ share: "all" });
    await ctx.advise({ share: "principal" });
    await ctx.append("x");
    await ctx.advise({ need: "dontneed", pauseMs: 60_000, share: "principal" });
    await expect(ctx.advise({ share: "all" })).rejects.toMatchObject({
      code: "EINVAL",
      argument: "share",
    });
    await expect(ctx.advise({ need: "soon" as "willneed" })).rejects.toMatchObject({
      code: "EINVAL",
      argument: "need",
    });
    expect(await ctx.stat()).toMatchObject({ share: "principal" });
  });

  it("is shown with who holds it by sys.free", async () => {
    const kernel = await start({ slots: 2 });
    await using os = await kernel.connect();
    const ctx = await conversation(os);
    await ctx.pin();
    const { length } = await ctx.stat();
    const { models, holders } = await os.sys.free();
    expect(models).toMatchObject([
      {
        model: "fake",
        contexts: 1,
        contextTokens: length,
        tiers: [{ name: "slots", used: 1 }, { name: "memory" }, { name: "dropped", used: 0 }],
      },
    ]);
    expect(holders).toMatchObject([
      { pid: os.pid, contexts: 1, tokens: length, pinnedPages: Math.ceil(length / 16) },
    ]);
  });
});

describe("a long prefill", () => {
  it("tells how far it is, and no more once the first token is there", async () => {
    const kernel = await start({ flags: ["--driver-options", '{"prefillTokenUs":1000}'] });
    await using os = await kernel.connect();
    const told: [number, number][] = [];
    const onPrefill = (tokens: number, of: number) => void told.push([tokens, of]);
    const text = "word ".repeat(250);
    const { usage } = await os.llm.generate(text, { maxTokens: 3, onPrefill });
    expect(told.length).toBeGreaterThan(0);
    for (const [tokens, of] of told) {
      expect(of).toBe(usage.promptTokens);
      expect(tokens).toBeLessThan(of);
    }
    expect(told.map(([tokens]) => tokens)).toEqual(told.map(([n]) => n).sort((a, b) => a - b));
  });
});
