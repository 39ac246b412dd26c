/** What of contexts counts in whose quotas: moved out, recalled, summed up, lent. */
import { describe, expect, it } from "vitest";
import type { Context, Os } from "../../syscalls/index.js";
import { start, until } from "../support/kernels.js";

const WINDOW = 1024;
const TEXT = "some words that fill the window. ".repeat(6);

/** Alice, and an administrator who sets her quotas. */
async function alice(quota: Readonly<Record<string, number>> = {}) {
  const kernel = await start({ slotTokens: WINDOW });
  const admin = await kernel.connect();
  await admin.principals.add("alice", { quota });
  const { key } = await admin.principals.addKey("alice");
  const os = await kernel.connect({ token: key });
  const limit = (quota: Readonly<Record<string, number>>) =>
    admin.principals.setQuota("alice", quota);
  const close = async () => {
    await os.close();
    await admin.close();
  };
  return { os, limit, [Symbol.asyncDispose]: close };
}

async function used(os: Os, quota: string): Promise<number> {
  const uses = await os.sys.limits();
  return uses.find((one) => one.quota === quota && one.of === "principal")?.used ?? Number.NaN;
}

/** Appends until something was moved out. */
async function overflow(ctx: Context): Promise<void> {
  while (!(await ctx.append(TEXT)).edit);
}

const refused = (says: RegExp) => ({ code: "EDQUOT", message: expect.stringMatching(says) });

describe("what was moved out of a context", () => {
  it("counts on, until it is forgotten", async () => {
    await using world = await alice({ contextTokens: 2500 });
    const { os } = world;
    const ctx = await os.ctx.create();
    const fill = async () => {
      for (;;) await ctx.append(TEXT);
    };
    await expect(fill()).rejects.toMatchObject(
      refused(/contextTokensPerPrincipal of the principal alice: limit 2500, .*forget/),
    );
    const { length, filedTokens } = await ctx.stat();
    expect(length).toBeLessThanOrEqual(WINDOW);
    expect(await used(os, "contextTokens")).toBe(length + filedTokens);
    await ctx.truncate(0);
    const file = await ctx.snapshot();
    for (const copy of [() => ctx.fork(), () => os.ctx.restore(file)]) {
      await expect(copy()).rejects.toMatchObject(refused(/contextTokensPerPrincipal/));
    }
    const { segments } = await ctx.filed({ limit: 1000 });
    await ctx.forget(segments.map(({ segment }) => segment));
    await ctx.append(TEXT);
    await (await ctx.fork()).close();
  });

  it("is recalled within the quotas that an append has", async () => {
    await using world = await alice();
    const { os, limit } = world;
    const ctx = await os.ctx.create();
    await overflow(ctx);
    const before = await ctx.stat();
    for (const [quota, name] of [
      ["contextTokens", /contextTokensPerPrincipal/],
      ["tokens", /quota tokens of the principal alice/],
    ] as const) {
      await limit({ [quota]: await used(os, quota) });
      await expect(ctx.recall(1)).rejects.toMatchObject(refused(name));
      expect((await ctx.stat()).length).toBe(before.length);
    }
    await limit({});
    expect((await ctx.recall(1)).appended).toBeGreaterThan(0);
  });
});

describe("a summary", () => {
  it("is paid for before it is made, and its tokens are the process's own", async () => {
    await using world = await alice();
    const { os, limit } = world;
    const ctx = await os.ctx.create({ summaries: true });
    let spent = 0;
    while ((await ctx.stat()).length + TEXT.length + 1 <= WINDOW) {
      spent += (await ctx.append(TEXT)).appended;
    }
    await limit({ tokens: spent + TEXT.length });
    await expect(ctx.append(TEXT)).rejects.toMatchObject(refused(/quota tokens/));
    expect(await used(os, "tokens")).toBe(spent);
    await limit({});
    const { edit, appended } = await ctx.append(TEXT);
    expect(edit?.movedOut.length).toBeGreaterThan(0);
    expect(await used(os, "tokens")).toBeGreaterThan(spent + appended + 100);
    await ctx.recall(1);
    await os.ctx.restore(await ctx.snapshot());
    const me = (await os.proc.ps()).find(({ pid }) => pid === os.pid);
    expect((me?.tokensIn ?? 0) + (me?.tokensOut ?? 0)).toBe(await used(os, "tokens"));
  });

  it("waits for everybody else, whatever its caller is", async () => {
    const kernel = await start({ slotTokens: WINDOW, slots: 2, stepUs: 20_000 });
    await using os = await kernel.connect();
    const ctx = await os.ctx.create({ summaries: true });
    let over = false;
    const overflows = overflow(ctx).finally(() => {
      over = true;
    });
    let batch = 0;
    await until(async () => {
      const [queue] = (await os.sys.sched()).queues;
      batch = queue?.classes.find((one) => one.class === "batch")?.running ?? 0;
      return over || batch > 0;
    });
    expect(batch).toBe(1);
    await overflows;
  });
});

describe("a context that was lent", () => {
  it("counts for its owner, not for who works with it", async () => {
    const kernel = await start({ slotTokens: 2048 });
    await using owner = await kernel.connect();
    await using borrower = await kernel.connect();
    const tokens = new Array<number>(2000).fill(104);
    const pin = async (os: Os): Promise<Context> => {
      const ctx = await os.ctx.create();
      await ctx.append({ tokens });
      await ctx.pin();
      return ctx;
    };
    const pinned = [await pin(owner), await pin(owner)];
    const ctx = await owner.ctx.create();
    await ctx.pin();
    const { handle } = await owner.cap.grant(ctx, { to: borrower.pid });
    const lent = await borrower.ctx.use(handle);
    // The borrower has none, and the owner as many as it may.
    const full = refused(
      new RegExp(
        `125 more.*pinnedPagesPerProcess of the process ${owner.pid}: limit 256, in use 250`,
      ),
    );
    await expect(lent.append({ tokens })).rejects.toMatchObject(full);
    await ctx.pin(false);
    await lent.append({ tokens });
    await expect(lent.pin()).rejects.toMatchObject(full);
    await lent.truncate(0);
    await ctx.pin();
    // And the other way round.
    for (const one of pinned) await one.close();
    for (let i = 0; i < 2; i++) await pin(borrower);
    await lent.append({ tokens: tokens.slice(100) });
    expect((await lent.generate({ maxTokens: 50, ignoreEos: true })).tokens).toHaveLength(50);
  });
});
