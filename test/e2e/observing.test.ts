/** What ps says while things happen, and streams whose end may not be one. */
import { describe, expect, it } from "vitest";
import type { Os, ProcInfo } from "../../syscalls/index.js";
import { attach, start, until } from "../support/kernels.js";
import { generateCall, RawClient } from "../support/raw-client.js";

async function info(os: Os, pid: string): Promise<ProcInfo> {
  const found = (await os.proc.ps({ all: true })).find((proc) => proc.pid === pid);
  if (!found) throw new Error(`no process ${pid}`);
  return found;
}

describe("ps", () => {
  it("counts the time that a generation waits and is served while it does", async () => {
    const kernel = await start({ slots: 1, stepUs: 3000 });
    await using os = await kernel.connect();
    await using other = await kernel.connect();
    const stop = new AbortController();
    const endless = { ignoreEos: true, signal: stop.signal };
    const calls = [
      Promise.resolve(os.llm.generate("first", endless)),
      Promise.resolve(other.llm.generate("second", endless)),
    ];
    const ended = Promise.allSettled(calls);
    await using watcher = await kernel.connect();
    // Neither has ended: with one slot both are served in turns, and both wait.
    await until(async () => {
      const both = [await info(watcher, os.pid), await info(watcher, other.pid)];
      return both.every(({ queuedMs, servedMs }) => queuedMs > 0 && servedMs > 0);
    });
    const before = await info(watcher, os.pid);
    await until(async () => (await info(watcher, os.pid)).queuedMs > before.queuedMs);
    stop.abort();
    await ended;
    const [a, b] = [await info(watcher, os.pid), await info(watcher, os.pid)];
    expect([b.queuedMs, b.servedMs]).toEqual([a.queuedMs, a.servedMs]);
  });

  it("says of a program without the SDK that it works, not that it is new", async () => {
    const kernel = await start();
    await using os = await kernel.connect();
    const child = await os.proc.spawn(["sleep", "60"]);
    expect(await info(os, child.pid)).toMatchObject({ state: "ready", run: 0, waitingOn: "" });
    await child.kill("KILL");
    await child.wait();
  });
});

describe("a stream that ends", () => {
  const call = generateCall("a long one", { maxTokens: 400, ignoreEos: true });

  it("with a call under way may be a broken one: its run can be resumed", async () => {
    const kernel = await start({ stepUs: 3000 });
    await using os = await kernel.connect();
    const client = new RawClient(kernel.address);
    client.hello(kernel.token);
    const { pid = 0n, run = 0, resumeToken = "" } = (await client.welcome()) ?? {};
    client.call(1n, call);
    await until(async () => (await os.sys.stats()).slotsUsed === 1);
    client.close();
    await until(async () => (await info(os, `n1.${pid & 0xffffffffn}`)).state !== "running");
    expect(await info(os, `n1.${pid & 0xffffffffn}`)).not.toMatchObject({ state: "zombie" });
    const again = new RawClient(kernel.address);
    again.hello("", { pid, run, resumeToken });
    expect((await again.welcome())?.run).toBe(run);
    const reply = await again.reply(1n);
    expect(reply?.result?.$case === "generate" && reply.result.value.tokens.length).toBe(400);
    again.close();
  });

  it("with nothing under way is over at once", async () => {
    const kernel = await start({ flags: ["--detach-grace-ms", "3600000"] });
    await using os = await kernel.connect();
    const client = await attach(kernel);
    expect((await os.proc.ps()).length).toBe(2);
    client.close();
    await until(async () => (await os.proc.ps()).length === 1);
  });

  it("by the SDK's close takes its calls with it", async () => {
    const kernel = await start({ stepUs: 3000, flags: ["--detach-grace-ms", "3600000"] });
    await using os = await kernel.connect();
    const leaving = await kernel.connect();
    const call = Promise.resolve(leaving.llm.generate("for ever", { ignoreEos: true }));
    const outcome = call.catch((error: unknown) => error);
    await until(async () => (await os.sys.stats()).slotsUsed === 1);
    await leaving.close();
    expect(await outcome).toMatchObject({ name: "ConnectionError" });
    await until(async () => (await os.proc.ps()).length === 1);
    expect((await os.sys.stats()).slotsUsed).toBe(0);
  });
});

describe("stats and ps", () => {
  it("tell nobody whose contexts are in the slots but himself and an administrator", async () => {
    const kernel = await start({ slots: 2, stepUs: 3000 });
    await using admin = await kernel.connect();
    const keyOf = async (principal: string): Promise<string> => {
      await admin.principals.add(principal);
      return (await admin.principals.addKey(principal)).key;
    };
    const [annKey, bobKey] = [await keyOf("ann"), await keyOf("bob")];
    await using ann = await kernel.connect({ token: annKey, name: "anns" });
    await using bob = await kernel.connect({ token: bobKey, name: "bobs" });
    const stop = new AbortController();
    const running = Promise.resolve(
      ann.llm.generate("a long one", { ignoreEos: true, signal: stop.signal }),
    ).catch(() => undefined);
    const tokens = async (): Promise<number> =>
      (await admin.sys.stats()).slot.reduce((sum, slot) => sum + slot.tokens, 0);
    await until(async () => (await tokens()) > 16);
    for (const os of [ann, admin]) {
      const { slot, slotsUsed, procsRunning } = await os.sys.stats();
      const pids = slot.map(({ pid }) => pid).filter((pid) => pid !== null);
      expect([pids, slotsUsed, procsRunning]).toEqual([[ann.pid], 1, os === ann ? 0 : 1]);
    }
    const seen = await bob.sys.stats();
    expect(seen.slotsUsed).toBe(1);
    expect(seen.slot.map(({ phase }) => phase).filter((phase) => phase !== "idle")).toHaveLength(1);
    for (const { pid, cid, tokens: length } of seen.slot) {
      expect([pid, cid, length]).toEqual([null, null, 0]);
    }
    expect([seen.procsRunning, seen.procsReady, seen.procsBlocked]).toEqual([0, 0, 0]);
    expect((await bob.proc.ps()).map(({ name }) => name)).toEqual(["bobs"]);
    await admin.sys.schedSet({
      weights: ["ann", "bob"].map((one) => ({ principal: one, weight: 2 })),
    });
    expect((await bob.sys.sched()).weights).toEqual([{ principal: "bob", weight: 2 }]);
    await expect(bob.sys.schedSet({ policy: "fifo" })).rejects.toMatchObject({ code: "EPERM" });
    stop.abort();
    await running;
  });
});
