/** What the nouns send, and how they show the kernel's answers. */
import { expect } from "vitest";
import { CtxStatResult, PsResult, RecvResult, StatsResult } from "../proto/gen/contix/v1/calls.js";
import { test } from "./testing-support/attached.js";
import type { FakeKernel } from "./testing-support/fake-kernel.js";

const id = (counter: number): bigint => (1n << 52n) | BigInt(counter);

const lastCall = (kernel: FakeKernel): unknown => kernel.calls.at(-1)?.call?.value;

test("a context's calls carry its handle, and its end closes it once", async ({ kernel, os }) => {
  const handles: [string | undefined, number][] = [];
  const note = (call: { call: unknown; handle: number }): void => {
    handles.push([(call.call as { $case: string }).$case, call.handle]);
  };
  kernel.on("ctxCreate", (call, _args, session) =>
    session.reply(call, "ctxCreate", { handle: 9, cid: id(4), window: 2048, model: "m" }),
  );
  kernel.on("ctxAppend", (call, _args, session) => {
    note(call);
    session.reply(call, "ctxAppend", { appended: 3, length: 3, edit: undefined });
  });
  kernel.on("ctxStat", (call, _args, session) => {
    note(call);
    const stat = { cid: id(4), length: 3, given: 3, slot: -1, window: 2048, model: "m" };
    session.reply(call, "ctxStat", CtxStatResult.fromPartial(stat));
  });
  kernel.on("generate", (call, _args, session) => {
    note(call);
    const result = { text: "hi", tokens: [1], finish: "eos", seed: 1n, stop: "", edit: undefined };
    session.reply(call, "generate", result);
  });
  kernel.on("ctxClose", (call, _args, session) => {
    note(call);
    session.reply(call, "ctxClose", {});
  });
  {
    await using ctx = await os.ctx.create();
    expect([ctx.cid, ctx.window]).toEqual(["n1.4", 2048]);
    expect(await ctx.append("text")).toEqual({ appended: 3, length: 3, edit: undefined });
    expect(lastCall(kernel)).toEqual({
      input: { $case: "text", value: "text" },
      ...{ segment: "", keep: false },
    });
    await ctx.append({ role: "system", content: "be short" });
    expect(lastCall(kernel)).toEqual({
      input: { $case: "chat", value: { messages: [{ role: "system", content: "be short" }] } },
      ...{ segment: "", keep: false },
    });
    await ctx.append({ tokens: [1, 2] }, { segment: "tools", keep: true });
    expect(lastCall(kernel)).toEqual({
      input: { $case: "tokens", value: { ids: [1, 2] } },
      ...{ segment: "tools", keep: true },
    });
    expect((await ctx.generate({ maxTokens: 2 })).text).toBe("hi");
    expect(lastCall(kernel)).toMatchObject({ input: undefined, maxTokens: 2 });
    expect((await ctx.chat("hello")).text).toBe("hi");
    expect(lastCall(kernel)).toMatchObject({
      input: { $case: "chat", value: { messages: [{ role: "user", content: "hello" }] } },
    });
    expect(await ctx.stat()).toMatchObject({ cid: "n1.4", slot: null, length: 3 });
    await ctx.close();
  }
  expect(handles.every(([, handle]) => handle === 9)).toBe(true);
  expect(handles.filter(([name]) => name === "ctxClose")).toHaveLength(1);
});

test("a context whose connection is lost closes without a word", async ({ kernel, os }) => {
  kernel.on("ctxCreate", (call, _args, session) =>
    session.reply(call, "ctxCreate", { handle: 9, cid: id(4), window: 2048, model: "m" }),
  );
  await using ctx = await os.ctx.create();
  expect(ctx.window).toBe(2048);
  kernel.die();
});

test("spawn sends what the program needs; the child waits and kills by pid", async ({
  kernel,
  os,
}) => {
  kernel.on("spawn", (call, _args, session) =>
    session.reply(call, "spawn", { pid: id(5), handle: 3, handles: [] }),
  );
  kernel.on("wait", (call, { pid }, session) =>
    session.reply(call, "wait", { pid, exitCode: 3, cause: "exit" }),
  );
  kernel.on("kill", (call, _args, session) => session.reply(call, "kill", { signalled: 1 }));
  const child = await os.proc.spawn(["node", "a.js"], { env: { A: "b" }, name: "a", nice: -5 });
  expect(lastCall(kernel)).toEqual({
    argv: ["node", "a.js"],
    env: [{ name: "A", value: "b" }],
    cwd: process.cwd(),
    name: "a",
    nice: -5,
    capabilities: [],
    sandbox: false,
    class: "",
    newGroup: false,
    newSession: false,
    quota: [],
    restart: undefined,
    supervisor: 0n,
    ownHeartbeat: false,
    watchdogUs: 0n,
    confinement: undefined,
  });
  expect(child.pid).toBe("n1.5");
  await child.kill("INT");
  expect(lastCall(kernel)).toEqual({ pid: id(5), signal: "INT", group: false });
  expect(await child.wait()).toEqual({ pid: "n1.5", exitCode: 3, cause: "exit" });
});

test("the process table has numbers, and null for what there is not", async ({ kernel, os }) => {
  const row = { pid: id(5), name: "a", state: "running", slot: -1, tokensOut: 7n, ageUs: 1500n };
  kernel.on("ps", (call, _args, session) =>
    session.reply(call, "ps", PsResult.fromPartial({ procs: [row] })),
  );
  const [proc] = await os.proc.ps({ all: true });
  expect(lastCall(kernel)).toEqual({ all: true });
  expect(proc).toMatchObject({
    pid: "n1.5",
    parent: null,
    osPid: null,
    slot: null,
    log: null,
    tokensOut: 7,
    ageMs: 1.5,
  });
  expect(JSON.stringify(proc)).toContain('"n1.5"');
});

test("the statistics can be printed as JSON", async ({ kernel, os }) => {
  const stats = { slots: 2, steps: 9n, stepUs: 2500n, slot: [{ slot: 0, pid: id(5), cid: 0n }] };
  kernel.on("stats", (call, _args, session) =>
    session.reply(call, "stats", StatsResult.fromPartial(stats)),
  );
  const shown = await os.sys.stats();
  expect(shown).toMatchObject({ steps: 9, stepMs: 2.5, slot: [{ pid: "n1.5", cid: null }] });
  expect(JSON.parse(JSON.stringify(shown))).toEqual(shown);
});

test("a message goes out as bytes and comes in as text too", async ({ kernel, os }) => {
  kernel.on("send", (call, _args, session) => session.reply(call, "send", { id: 1n }));
  kernel.on("recv", (call, _args, session) =>
    session.reply(
      call,
      "recv",
      RecvResult.fromPartial({ id: 2n, from: id(6), body: Buffer.from("grüße"), topic: "t" }),
    ),
  );
  await os.ipc.send("n1.6", "grüße", { topic: "t" });
  const sent = { pid: id(6), body: Buffer.from("grüße"), topic: "t", priority: 0, handles: [] };
  expect(lastCall(kernel)).toEqual(sent);
  const mail = await os.ipc.recv({ from: "n1.6" });
  expect(mail).toMatchObject({ from: "n1.6", text: "grüße", topic: "t" });
  expect(lastCall(kernel)).toEqual({ from: id(6), requests: false, visibilityUs: 0n });
});

test("wrong types are named before anything is sent", async ({ kernel, os }) => {
  await expect(os.proc.spawn("node" as unknown as string[])).rejects.toThrow(
    "argv: expected an array of strings, got string",
  );
  await expect(os.proc.kill("17")).rejects.toThrow(/^pid: expected an id/);
  await expect(os.proc.nice("n1.1", 1.5)).rejects.toThrow(/^nice: /);
  await expect(os.time.sleep("1" as unknown as number)).rejects.toThrow(/^ms: /);
  await expect(os.time.sleep(Number.POSITIVE_INFINITY)).rejects.toThrow(RangeError);
  await expect(os.ipc.send("n1.1", 5 as unknown as string)).rejects.toThrow(/^body: /);
  await expect(os.llm.tokenize("x", { timeoutMs: Number.NaN })).rejects.toThrow(/^timeoutMs: /);
  expect(kernel.calls).toHaveLength(0);
});
