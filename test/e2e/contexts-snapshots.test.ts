/** Snapshots: a context goes on elsewhere as if nothing had happened, and damage is told. */
import { describe, expect, it } from "vitest";
import { readSnapshot, writeSnapshot } from "../../kernel/mm/snapshot-file.js";
import type { Snapshot } from "../../proto/gen/contix/v1/snapshot.js";
import { start } from "../support/kernels.js";

const ASK = { maxTokens: 10, seed: 3, ignoreEos: true };

describe("a snapshot", () => {
  it("goes on in another daemon of the same engine as the original does", async () => {
    const [here, there] = [await start({ seed: 5 }), await start({ seed: 5, slots: 2 })];
    await using os = await here.connect();
    await using away = await there.connect();
    const ctx = await os.ctx.create();
    await ctx.append({ role: "system", content: "You count sheep." });
    await ctx.chat("How many?", ASK);
    const snapshot = await ctx.snapshot();
    const restored = await away.ctx.restore(snapshot, { ttlMs: 60_000 });
    const [a, b] = [await ctx.stat(), await restored.stat()];
    expect([b.length, b.given, b.generated]).toEqual([a.length, a.given, a.generated]);
    expect(b.ttlMs).toBe(60_000);
    const next = await ctx.chat("And now?", ASK);
    expect((await restored.chat("And now?", ASK)).tokens).toEqual(next.tokens);
    expect((await restored.stat()).length).toBe((await ctx.stat()).length);
  });

  it("of a restored context is the same, but for where it comes from", async () => {
    const kernel = await start();
    await using os = await kernel.connect();
    const ctx = await os.ctx.create();
    await ctx.chat("Hello", ASK);
    const restored = await os.ctx.restore(await ctx.snapshot());
    await restored.truncate(3);
    await ctx.truncate(3);
    for (const one of [ctx, restored]) await one.append("more");
    const answers = [await ctx.generate(ASK), await restored.generate(ASK)];
    expect(answers[0]?.tokens).toEqual(answers[1]?.tokens);
  });

  it("of another engine is EXDEV, or given anew by a rebase", async () => {
    const [here, there] = [await start({ seed: 1 }), await start({ seed: 2 })];
    await using os = await here.connect();
    await using away = await there.connect();
    const ctx = await os.ctx.create();
    await ctx.chat("Hello", ASK);
    const snapshot = await ctx.snapshot();
    await expect(away.ctx.restore(snapshot)).rejects.toMatchObject({
      code: "EXDEV",
      argument: "snapshot",
      message: expect.stringMatching(/fake-1-.*fake-2-.*rebase/),
    });
    const rebased = await away.ctx.restore(snapshot, { rebase: true });
    const { length } = await ctx.stat();
    expect(await rebased.stat()).toMatchObject({ length, given: length, generated: 0 });
    expect((await rebased.chat("Go on.", ASK)).tokens).toHaveLength(10);
  });

  it("with tokens that the model has not is refused, be they filed", async () => {
    const kernel = await start({ slotTokens: 512 });
    await using os = await kernel.connect();
    const ctx = await os.ctx.create();
    for (let i = 0; i < 8; i++) await ctx.append("some words that fill it. ".repeat(3));
    const saved = readSnapshot(await ctx.snapshot());
    const [first, ...others] = saved.paging?.filed ?? [];
    if (!saved.paging || !first) throw new Error("nothing was moved out");
    const wrong = { ...first, tokens: [104, 999_999] };
    const [, ...rest] = saved.tokens;
    // Right in itself: what its model's vocabulary is, the file says.
    const forged: [Partial<Snapshot>, RegExp][] = [
      [{ tokens: [999_998, ...rest] }, /token 0 of the snapshot is 999998.*vocabulary.* 259/],
      [
        { paging: { ...saved.paging, filed: [wrong, ...others] } },
        /token 1 of the snapshot's filed segment 1 is 999999.*vocabulary.* 259/,
      ],
    ];
    for (const [part, message] of forged) {
      const file = writeSnapshot({ ...saved, vocab: 1_000_000, ...part });
      for (const rebase of [false, true]) {
        await expect(os.ctx.restore(file, { rebase })).rejects.toMatchObject({
          ...{ code: "EINVAL", argument: "snapshot", message: expect.stringMatching(message) },
        });
      }
    }
    expect((await ctx.recall(first.id)).text).toContain("some words");
    expect(await os.ctx.list()).toHaveLength(1);
  });

  it("that is damaged says how, and costs nothing else", async () => {
    const kernel = await start({ slotTokens: 256 });
    const larger = await start({ slotTokens: 1024 });
    await using os = await kernel.connect();
    await using big = await larger.connect();
    const ctx = await os.ctx.create();
    await ctx.append("Hello");
    const good = await ctx.snapshot();
    const long = await big.ctx.create();
    await long.append("x".repeat(500));
    const flipped = Uint8Array.from(good);
    flipped[60] = (flipped[60] ?? 0) ^ 4;
    const newer = Uint8Array.from(good);
    newer[8] = 9;
    const cases: [Uint8Array, string, RegExp][] = [
      [new Uint8Array(), "EINVAL", /no snapshot/],
      [Buffer.from("GIF89a and so on"), "EINVAL", /no snapshot/],
      [good.subarray(0, 20), "EINVAL", /truncated: 20 bytes/],
      [good.subarray(0, good.length - 1), "EINVAL", /truncated: \d+ of \d+ bytes/],
      [Buffer.concat([good, Buffer.from("x")]), "EINVAL", /1 bytes too many/],
      [flipped, "EINVAL", /checksum/],
      [newer, "EINVAL", /version 9; this kernel reads versions 1 to 2/],
      [await long.snapshot(), "ENOMEM", /500 tokens.*256/],
    ];
    for (const [bytes, code, message] of cases) {
      await expect(os.ctx.restore(bytes)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
    await expect(os.ctx.restore(good, { model: "none" })).rejects.toMatchObject({ code: "EMODEL" });
    expect(await os.ctx.list()).toHaveLength(1);
    expect((await ctx.generate(ASK)).tokens).toHaveLength(10);
  });
});
