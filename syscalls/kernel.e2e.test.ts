/** The SDK against the real kernel with the fake driver. */
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CREDIT } from "./chunks.js";
import { ConnectionError, type Os, SyscallError } from "./index.js";
import { startTestKernel, type TestKernel } from "./testing.js";
import { startProxy } from "./testing-support/proxy.js";

const SDK = new URL("../dist/syscalls/index.js", import.meta.url).href;

let kernel: TestKernel;
let os: Os;
beforeAll(async () => {
  kernel = await startTestKernel({ slots: 4, slotTokens: 512, stepUs: 500 });
  os = await kernel.connect({ name: "test" });
});
afterAll(async () => {
  await os.close();
  await kernel.stop();
});

/** Writes a program that is attached as `os`, for spawning. */
async function program(name: string, body: string): Promise<string[]> {
  const file = join(kernel.home, `${name}.mjs`);
  await writeFile(
    file,
    `import { connect } from ${JSON.stringify(SDK)};\nconst os = await connect();\n${body}\n`,
  );
  return [process.execPath, file];
}

/** Waits until no slot is in use and nothing is queued. */
async function idle(): Promise<void> {
  for (;;) {
    const { slotsUsed, queued } = await os.sys.stats();
    if (slotsUsed === 0 && queued === 0) return;
    await os.time.sleep(5);
  }
}

test("who we are, and what the kernel is", async () => {
  expect(os.pid).toMatch(/^n1\.\d+$/);
  expect(os.principal).toBe("admin");
  expect(await os.sys.uname()).toMatchObject({ driver: "fake", node: "n1", daemonPid: kernel.pid });
  expect(await os.llm.model()).toMatchObject({ window: 512, loaded: true });
  const [me] = (await os.proc.ps()).filter(({ pid }) => pid === os.pid);
  expect(me).toMatchObject({ name: "test", parent: null, osPid: null });
});

test("awaited and iterated, the text is the same, and usage comes with it", async () => {
  const options = { maxTokens: 40, seed: 3, ignoreEos: true };
  const awaited = await os.llm.generate("Once upon a time", options);
  const generation = os.llm.generate("Once upon a time", options);
  let text = "";
  for await (const chunk of generation) text += chunk;
  expect(text).toBe(awaited.text);
  const { usage, ...rest } = await generation;
  expect(rest).toEqual({ ...rest, text, finish: "length", seed: "3" });
  expect(usage.generatedTokens).toBe(40);
  expect(usage.promptTokens).toBeGreaterThan(0);
  expect(usage.servedMs).toBeGreaterThan(0);
});

test("a drawn seed can be used again", async () => {
  const first = await os.llm.generate("Once", { maxTokens: 20 });
  const again = await os.llm.generate("Once", { maxTokens: 20, seed: first.seed });
  expect(again.text).toBe(first.text);
});

test("a context remembers, and is gone when it is closed", async () => {
  const ctx = await os.ctx.create();
  const { length } = await ctx.append("Once upon a time");
  const { tokens } = await ctx.generate({ maxTokens: 10, ignoreEos: true });
  expect(tokens).toHaveLength(10);
  const stat = await ctx.stat();
  expect(stat).toMatchObject({ cid: ctx.cid, given: length, window: 512 });
  expect(stat.generated).toBeGreaterThanOrEqual(9);
  await ctx.close();
  await expect(ctx.stat()).rejects.toMatchObject({ code: "EBADF" });
});

test("leaving the loop frees the slot, and the context can be used at once", async () => {
  await using ctx = await os.ctx.create();
  for await (const _ of ctx.chat("Tell me a long story.", { ignoreEos: true })) break;
  const { text } = await ctx.chat("Another one.", { maxTokens: 5, ignoreEos: true });
  expect(text).not.toBe("");
  await idle();
});

test("an abort stops a generation", async () => {
  const abort = new AbortController();
  const loop = (async () => {
    for await (const _ of os.llm.generate("x", { ignoreEos: true, signal: abort.signal })) {
      abort.abort();
    }
  })();
  await expect(loop).rejects.toMatchObject({ name: "AbortError" });
  await idle();
});

test("a deadline ends a call", async () => {
  await expect(os.ipc.recv({ timeoutMs: 5 })).rejects.toMatchObject({ code: "ETIMEDOUT" });
  await expect(os.ipc.recv({ timeoutMs: 0 })).rejects.toMatchObject({ code: "ETIMEDOUT" });
  const slow = os.llm.generate("x", { ignoreEos: true, timeoutMs: 20 });
  await expect(slow).rejects.toMatchObject({ code: "ETIMEDOUT" });
  await idle();
});

test("mail that is there is taken even with no time to wait", async () => {
  await os.ipc.send(os.pid, "to myself", { topic: "t" });
  expect(await os.ipc.recv({ timeoutMs: 0 })).toMatchObject({
    from: os.pid,
    text: "to myself",
    topic: "t",
  });
});

test("of two streams the one that is not read pauses, and the other goes on", async () => {
  // Slow enough for more chunks than the reader has asked for.
  await using slow = await startTestKernel({ slots: 4, slotTokens: 512, stepUs: 5000 });
  await using os = await slow.connect({ name: "test" });
  const options = { maxTokens: 300, ignoreEos: true };
  const paused = os.llm.generate("paused", options)[Symbol.asyncIterator]();
  await paused.next();
  let chunks = 0;
  for await (const _ of os.llm.generate("read", options)) chunks += 1;
  expect(chunks).toBeGreaterThan(CREDIT);
  const me = (await os.proc.ps()).find(({ pid }) => pid === os.pid);
  expect(me?.waitingOn).toBe("credit");
  let text = "";
  for (let next = await paused.next(); !next.done; next = await paused.next()) text += next.value;
  expect(text).not.toBe("");
});

test("errors are typed and say what would be right", async () => {
  const long = "word ".repeat(2_000);
  await expect(os.llm.generate(long)).rejects.toMatchObject({
    code: "ENOMEM",
    message: expect.stringMatching(/\d+.*512/),
  });
  await expect(os.llm.generate("")).rejects.toMatchObject({ code: "EINVAL", argument: "prompt" });
  await expect(os.llm.generate("x", { temperature: -1 })).rejects.toMatchObject({
    code: "EINVAL",
    argument: "temperature",
  });
  await expect(os.llm.generate("x", { stop: "s".repeat(10_000) })).rejects.toMatchObject({
    code: "EINVAL",
    argument: "stop",
  });
  await expect(os.llm.generate("x", { model: "none" })).rejects.toMatchObject({ code: "EMODEL" });
  await expect(os.proc.wait("n1.999999")).rejects.toMatchObject({ code: "ECHILD" });
  await expect(os.proc.kill("n1.999999")).rejects.toMatchObject({ code: "ESRCH" });
  await expect(kernel.connect({ token: "wrong" })).rejects.toBeInstanceOf(SyscallError);
  await expect(kernel.connect({ token: "wrong" })).rejects.toMatchObject({ code: "EACCES" });
});

test("children run, are waited for and tell how they ended", async () => {
  const child = await os.proc.spawn(
    await program(
      "child",
      `const { text } = await os.ipc.recv(); await os.proc.exit(text.length);`,
    ),
  );
  expect((await os.proc.ps()).find(({ pid }) => pid === child.pid)).toMatchObject({
    parent: os.pid,
    name: "child.mjs",
  });
  await os.ipc.send(child.pid, "seven..");
  expect(await child.wait()).toEqual({ pid: child.pid, exitCode: 7, cause: "exit" });
});

test("a signal ends a child that has no handler, and is heard by one that has", async () => {
  const deaf = await os.proc.spawn(
    await program(
      "deaf",
      `await os.ipc.send(${JSON.stringify(os.pid)}, "up"); await os.ipc.recv();`,
    ),
  );
  const hearing = await os.proc.spawn(
    await program(
      "hearing",
      `os.on("TERM", () => os.proc.exit(3));
       await os.ipc.send(${JSON.stringify(os.pid)}, "up"); await os.ipc.recv();`,
    ),
  );
  await os.ipc.recv({ from: deaf.pid });
  await os.ipc.recv({ from: hearing.pid });
  await deaf.kill();
  await hearing.kill();
  expect(await deaf.wait()).toMatchObject({ cause: "signal TERM" });
  expect(await hearing.wait()).toMatchObject({ exitCode: 3, cause: "exit" });
});

test("a child killed in mid-stream frees its slot", async () => {
  const child = await os.proc.spawn(
    await program(
      "busy",
      `for await (const _ of os.llm.generate("x", { ignoreEos: true, maxTokens: 400 })) {
         await os.ipc.send(${JSON.stringify(os.pid)}, "going");
         await new Promise(() => {});
       }`,
    ),
  );
  await os.ipc.recv({ from: child.pid });
  await child.kill("KILL");
  expect(await child.wait()).toMatchObject({ cause: "signal KILL" });
  await idle();
});

test("a full kernel says EAGAIN; with retries all are served", async () => {
  await using small = await startTestKernel({ slots: 1, queueLimit: 2, stepUs: 200 });
  await using client = await small.connect();
  const options = { maxTokens: 5, ignoreEos: true, retries: 0 };
  const many = Array.from({ length: 20 }, () => client.llm.generate("x", options).then());
  const settled = await Promise.allSettled(many);
  const refused = settled.filter((one) => one.status === "rejected");
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThan(20);
  for (const { reason } of refused) {
    expect(reason).toMatchObject({ code: "EAGAIN", retryable: true });
    expect(reason.retryAfterMs).toBeGreaterThan(0);
  }
  const retrying = Array.from({ length: 20 }, () =>
    client.llm.generate("x", { ...options, retries: Number.POSITIVE_INFINITY }),
  );
  expect((await Promise.all(retrying)).length).toBe(20);
});

test("a cut connection is restored, calls go on, and streams say that they broke", async () => {
  await using proxy = await startProxy(kernel.address);
  await using client = await kernel.connect({ address: proxy.address });
  const ctx = await client.ctx.create();
  const options = { maxTokens: 100, ignoreEos: true, seed: 1 };
  const survivors = Promise.all([client.ipc.recv(), client.llm.generate("whole", options)]);
  const stream = client.llm.generate("stream", { ignoreEos: true })[Symbol.asyncIterator]();
  await stream.next();
  proxy.cut();
  const broken = (async () => {
    while (!(await stream.next()).done);
  })();
  await expect(broken).rejects.toBeInstanceOf(ConnectionError);
  await os.ipc.send(client.pid, "still there?");
  const [mail, whole] = await survivors;
  expect(mail.text).toBe("still there?");
  expect(whole.text).toBe((await os.llm.generate("whole", options)).text);
  expect((await ctx.append("yes")).appended).toBeGreaterThan(0);
  await idle();
});

test("a killed daemon is a ConnectionError for every call, and soon", async () => {
  await using doomed = await startTestKernel({ stepUs: 5_000 });
  const client = await doomed.connect();
  const calls = [client.ipc.recv(), client.llm.generate("x", { ignoreEos: true }).then()];
  const lost = Promise.allSettled(calls);
  const stream = client.llm.generate("y", { ignoreEos: true })[Symbol.asyncIterator]();
  await stream.next();
  process.kill(doomed.pid, "SIGKILL");
  for (const one of await lost) {
    expect(one).toMatchObject({ status: "rejected", reason: expect.any(ConnectionError) });
  }
  await expect(client.sys.uname()).rejects.toBeInstanceOf(ConnectionError);
  await client.close();
  await expect(doomed.connect()).rejects.toThrow("start one with `contix up`");
});

test("over TCP it is the same", async () => {
  const port = await freePort();
  await using tcp = await startTestKernel({ flags: ["--listen", `127.0.0.1:${port}`] });
  await using client = await tcp.connect({ address: `grpc://127.0.0.1:${port}` });
  expect((await client.llm.chat("Hello.", { maxTokens: 5, ignoreEos: true })).tokens).toHaveLength(
    5,
  );
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" ? (address?.port ?? 0) : 0;
      server.close(() => resolve(port));
    });
  });
}
