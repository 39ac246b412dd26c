/** Contexts that outgrow their window while something goes wrong. */
import { expect, it } from "vitest";
import type { Context, Os } from "../../syscalls/index.js";
import { start, until } from "../support/kernels.js";

const WINDOW = 1024;
const TURNS = 9;
const say = (turn: number): string => `Turn ${turn}: ${"tell me of the sea. ".repeat(8)}`;
const how = (turn: number) => ({ maxTokens: 24, temperature: 0.8, seed: turn, ignoreEos: true });

/** What a conversation comes to: every answer, every edit, and what the context is then made of. */
async function conversation(ctx: Context, disturb: (over: () => boolean) => Promise<void>) {
  const told: unknown[] = [];
  let edits = 0;
  for (let turn = 0; turn < TURNS; turn++) {
    let over = false;
    const answer = ctx.chat(say(turn), how(turn)).finally(() => {
      over = true;
    });
    const [{ tokens, edit }] = await Promise.all([answer, disturb(() => over)]);
    if (edit) edits++;
    told.push({ tokens, edit });
  }
  const { segments, length, filedTokens } = await ctx.stat();
  return { told, edits, segments, length, filedTokens };
}

async function killDriver(os: Os): Promise<void> {
  const { driverPid } = await os.sys.uname();
  if (driverPid > 0) process.kill(driverPid, "SIGKILL");
}

/** Whether a burst of another context than `ctx` runs: a summary is being made. */
async function summing(os: Os, { cid }: Context): Promise<boolean> {
  const { slot } = await os.sys.stats();
  return slot.some((one) => one.phase !== "idle" && one.cid !== null && one.cid !== cid);
}

it("goes on byte for byte when the driver is killed in the middle of an edit", async () => {
  const runs = [];
  for (const disturbed of [false, true]) {
    const kernel = await start({ slotTokens: WINDOW, slots: 2, stepUs: 1000 });
    await using os = await kernel.connect();
    await using ctx = await os.ctx.create({ summaries: true });
    await ctx.append({ role: "system", content: "You are brief." });
    let killed = 0;
    const run = await conversation(ctx, async (over) => {
      if (!disturbed || killed > 0) return;
      await until(async () => over() || (await summing(os, ctx)));
      if (over()) return;
      await killDriver(os);
      killed++;
    });
    runs.push(run);
    expect(killed).toBe(disturbed ? 1 : 0);
    // And once more, when nothing runs: all is built again from the tokens of an edited context.
    if (disturbed) await killDriver(os);
    runs.push((await ctx.chat("And then?", how(99))).tokens);
  }
  const [undisturbed, next, ...same] = runs;
  expect(undisturbed).toMatchObject({ edits: expect.any(Number) });
  expect((undisturbed as { edits: number }).edits).toBeGreaterThan(1);
  expect(same).toEqual([undisturbed, next]);
});

it("is as it was when its call is cancelled during a summary, and the slot is free", async () => {
  const kernel = await start({ slotTokens: WINDOW, slots: 2, stepUs: 20_000 });
  await using os = await kernel.connect();
  await using ctx = await os.ctx.create({ summaries: true });
  for (let i = 0; i < 9; i++) await ctx.append("some words that fill it. ".repeat(4));
  const before = await ctx.stat();
  for (const call of ["append", "chat"] as const) {
    const stop = new AbortController();
    const { signal } = stop;
    const text = "more words than there is room for. ".repeat(6);
    const answer = call === "append" ? ctx.append(text, { signal }) : ctx.chat(text, { signal });
    const failed = expect(answer).rejects.toThrow();
    await until(() => summing(os, ctx));
    stop.abort();
    await failed;
    const { slot: slots } = await os.sys.stats();
    expect(slots.filter(({ phase }) => phase !== "idle")).toEqual([]);
    const { idleMs: _, ageMs: __, ...now } = await ctx.stat();
    expect(before).toMatchObject(now);
  }
  const { edit } = await ctx.append("more words than there is room for. ".repeat(6));
  expect(edit?.movedOut.length).toBeGreaterThan(0);
  // Nothing of the summaries is left.
  expect((await os.ctx.list({ all: true })).map(({ cid }) => cid)).toEqual([ctx.cid]);
});

it("is EDQUOT when no more may be filed, until something is forgotten", async () => {
  const kernel = await start({ slotTokens: 32_768 });
  await using os = await kernel.connect();
  await using ctx = await os.ctx.create();
  // Two fit beside each other; with a third, both leave. By default 262,144 tokens may.
  const text = "words and ".repeat(1500);
  for (let i = 0; i < 18; i++) await ctx.append(text);
  const before = await ctx.stat();
  expect(before).toMatchObject({ filedSegments: 16, filedTokens: 240_000 });
  await expect(ctx.append(text)).rejects.toMatchObject({
    code: "EDQUOT",
    message: expect.stringMatching(/filedTokens.*262,?144.*forget/),
  });
  const after = await ctx.stat();
  expect([after.length, after.segments]).toEqual([before.length, before.segments]);
  await ctx.forget([1, 2]);
  expect((await ctx.append(text)).edit?.movedOut).toEqual([17, 18]);
  // As a file it is what it was.
  await using other = await os.ctx.restore(await ctx.snapshot());
  const [a, b] = [await ctx.stat(), await other.stat()];
  expect([b.segments, b.filedTokens]).toEqual([a.segments, 240_000]);
  expect((await other.recall(3)).text).toBe(text);
});
