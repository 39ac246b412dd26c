/** What is refused of contexts, and that the process, the kernel and other contexts go on. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Limit, Os } from "../../syscalls/index.js";
import { attach, start } from "../support/kernels.js";

let os: Os;
let address: Parameters<typeof attach>[0];
beforeEach(async () => {
  const kernel = await start({ slotTokens: 2048 });
  address = kernel;
  os = await kernel.connect();
});
afterEach(() => os.close());

describe("an append", () => {
  it("that can not be is a typed error, and leaves the context as it was", async () => {
    await using ctx = await os.ctx.create();
    await ctx.append("kept");
    const { window } = await ctx.stat();
    const many = (n: number) => ({ tokens: new Array<number>(n).fill(1) });
    const cases: [() => Promise<unknown>, string, RegExp][] = [
      [() => ctx.append(""), "EINVAL", /nothing to append/],
      [() => ctx.append([]), "EINVAL", /messages is empty/],
      [() => ctx.append({ tokens: [] }), "EINVAL", /nothing to append/],
      [() => ctx.append({ tokens: [5, 999_999] }), "EINVAL", /tokens\[1\] is 999999.*vocabulary/],
      [() => ctx.append(many(window)), "ENOMEM", /2052 tokens.*holds 2048.*truncate/],
      [() => ctx.append(many(10_000_000)), "ENOMEM", /10000004 tokens/],
      [() => ctx.append("x".repeat(1 << 20)), "ENOMEM", /1048576 characters/],
    ];
    for (const [call, code, message] of cases) {
      await expect(call()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    }
    expect((await ctx.stat()).length).toBe(4);
    expect((await ctx.generate({ maxTokens: 2 })).tokens.length).toBeGreaterThan(0);
  });
});

describe("a handle", () => {
  it("that is unknown or foreign opens nothing, for any call", async () => {
    const ctx = await os.ctx.create();
    const other = await attach(address);
    const calls = [
      {
        $case: "ctxAppend" as const,
        value: { input: { $case: "text" as const, value: "x" }, segment: "", keep: false },
      },
      { $case: "ctxRecall" as const, value: { what: { $case: "segment" as const, value: 1 } } },
      { $case: "ctxFiled" as const, value: { query: "", limit: 0 } },
      { $case: "ctxForget" as const, value: { segments: [1] } },
      { $case: "ctxStat" as const, value: { cid: 0n } },
      { $case: "ctxClose" as const, value: { cid: 0n } },
      { $case: "ctxFork" as const, value: { cid: 0n, length: undefined, ttlUs: 0n } },
      { $case: "ctxTruncate" as const, value: { length: 0 } },
      { $case: "ctxPin" as const, value: { pinned: true } },
      { $case: "ctxAdvise" as const, value: { need: "willneed", pauseUs: 0n, share: "" } },
      { $case: "ctxGive" as const, value: { pid: 0n } },
      { $case: "ctxSnapshot" as const, value: { cid: 0n } },
    ];
    let seq = 0n;
    for (const call of calls) {
      for (const handle of [0, 1, 77]) {
        other.call(++seq, call, { handle });
        expect(await other.errorOf(seq)).toBe("EBADF");
      }
    }
    other.close();
    expect(await ctx.stat()).toMatchObject({ length: 0, owner: os.pid });
  });

  it("is no context's id: what is named by that must be there", async () => {
    for (const call of [
      () => os.ctx.stat("n1.999"),
      () => os.ctx.fork("n1.999"),
      () => os.ctx.snapshot("n1.999"),
      () => os.ctx.close("n1.999"),
      () => os.ctx.open("n1.999"),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "ENOENT", argument: "cid" });
    }
  });
});

describe("a quota", () => {
  it("of contexts names itself, its limit and what to close", async () => {
    const held = await Promise.all(Array.from({ length: 64 }, () => os.ctx.create()));
    const first = held[0];
    const refused = {
      code: "EDQUOT",
      message: expect.stringMatching(/contextsPerProcess.*limit 64, in use 64; close one/),
    };
    await expect(os.ctx.create()).rejects.toMatchObject(refused);
    await expect(first?.fork()).rejects.toMatchObject(refused);
    const snapshot = await first?.snapshot();
    await expect(os.ctx.restore(snapshot ?? new Uint8Array())).rejects.toMatchObject(refused);
    await held.pop()?.close();
    await os.ctx.create();
  });

  it("of the receiver counts for what is given to it", async () => {
    const receiver = await address.connect();
    await Promise.all(Array.from({ length: 64 }, () => receiver.ctx.create()));
    const ctx = await os.ctx.create();
    await expect(ctx.give(receiver.pid)).rejects.toMatchObject({ code: "EDQUOT" });
    expect((await ctx.stat()).owner).toBe(os.pid);
    await receiver.close();
  });

  it("of pinned pages counts what is pinned, and what a pinned context grows by", async () => {
    const tokens = new Array<number>(2000).fill(104);
    const two = await Promise.all([os.ctx.create(), os.ctx.create()]);
    for (const ctx of two) {
      await ctx.append({ tokens });
      await ctx.pin();
    }
    const third = await os.ctx.create();
    await third.append({ tokens });
    const refused = {
      code: "EDQUOT",
      message: expect.stringMatching(/125 more.*pinnedPagesPerProcess.*limit 256, in use 250/),
    };
    await expect(third.pin()).rejects.toMatchObject(refused);
    await third.clear();
    await third.pin();
    await expect(third.append({ tokens })).rejects.toMatchObject(refused);
    await expect(third.generate({ maxTokens: 1 })).rejects.toMatchObject({ code: "EINVAL" });
    await two[0]?.pin(false);
    await third.append({ tokens });
  });
});

describe("a quota of pages", () => {
  const of = (limits: readonly Limit[], quota: string): Limit | undefined =>
    limits.find((one) => one.quota === quota && one.of === "principal");

  it("in memory lets a principal's own go, and refuses pins that would be over it", async () => {
    await os.principals.add("alice", { quota: { memoryPages: 20, swapBytes: 4096 } });
    const { key } = await os.principals.addKey("alice");
    await using alice = await address.connect({ token: key });
    const contexts = [await alice.ctx.create(), await alice.ctx.create()];
    for (const [i, ctx] of contexts.entries()) {
      await ctx.append({ tokens: Array.from({ length: 240 }, () => 104 + i) });
      await ctx.generate({ maxTokens: 20, ignoreEos: true });
    }
    const limits = await alice.sys.limits();
    expect(of(limits, "swapBytes")).toMatchObject({ limit: 4096, used: 0 });
    const { limit, used = 0 } = of(limits, "memoryPages") ?? {};
    expect([limit, used > 15, used <= 20]).toEqual([20, true, true]);
    // The daemon's own have no limit.
    const admin = of(await os.sys.limits(), "memoryPages");
    expect(admin?.limit).toBe(Number.POSITIVE_INFINITY);
    await contexts[0]?.pin();
    await expect(contexts[1]?.pin()).rejects.toMatchObject({
      code: "EDQUOT",
      message: expect.stringMatching(
        /17 more.*memoryPagesPerPrincipal of the principal alice: limit 20, in use 17; .*unpin or truncate/,
      ),
    });
    await contexts[0]?.truncate(16);
    await contexts[1]?.pin();
  });
});

describe("the quota of tokens", () => {
  it("counts what generations under way may write", async () => {
    const kernel = await start({ slotTokens: 32_768, stepUs: 1000 });
    await using big = await kernel.connect();
    const tokens = new Array<number>(32_000).fill(104);
    const contexts = await Promise.all(Array.from({ length: 33 }, () => big.ctx.create()));
    let refused: unknown;
    for (const ctx of contexts) {
      refused = await ctx.append({ tokens }).then(
        () => undefined,
        (error: unknown) => error,
      );
    }
    const message = expect.stringMatching(
      /32000 more.*contextTokensPerProcess.*limit 1048576, in use 1024000/,
    );
    expect(refused).toMatchObject({ code: "EDQUOT", message });
    const last = contexts.at(-1);
    await expect(last?.chat("Hello", { maxTokens: 30_000 })).rejects.toMatchObject({
      code: "EDQUOT",
      message: expect.stringMatching(/max_tokens/),
    });
    expect((await last?.stat())?.length).toBe(0);
    const answer = last?.chat("Hello", { maxTokens: 24_000, ignoreEos: true });
    const reader = answer?.[Symbol.asyncIterator]();
    await reader?.next();
    await expect(contexts[0]?.append({ tokens: tokens.slice(0, 700) })).rejects.toMatchObject({
      code: "EDQUOT",
    });
    await reader?.return?.();
    await contexts[0]?.append({ tokens: tokens.slice(0, 700) });
  });
});
