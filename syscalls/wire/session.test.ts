import { afterEach, beforeEach, expect, test } from "vitest";
import { ConnectionError, connect, type Os, SyscallError } from "../index.js";
import {
  type FakeKernel,
  type FakeSession,
  startFakeKernel,
} from "../testing-support/fake-kernel.js";

let kernel: FakeKernel;
let os: Os;
beforeEach(async () => {
  kernel = await startFakeKernel();
  os = await connect({ address: kernel.address, token: "t" });
});
afterEach(async () => {
  await os.close();
  await kernel[Symbol.asyncDispose]();
});

const first = (): FakeSession => {
  const [session] = kernel.sessions;
  if (session === undefined) throw new Error("nobody attached");
  return session;
};

/** Resolves when the kernel has received `n` calls in all. */
async function received(n: number): Promise<void> {
  while (kernel.calls.length < n) await new Promise((turn) => setImmediate(turn));
}

const answerSleep = (): void => {
  kernel.on("sleep", (call, _args, session) => session.reply(call, "sleep", {}));
};

test("calls are numbered from 1 and answered in any order", async () => {
  const a = os.time.sleep(1);
  const b = os.time.sleep(2);
  await received(2);
  expect(kernel.calls.map((call) => call.seq)).toEqual([1n, 2n]);
  const done: string[] = [];
  const both = Promise.all([a.then(() => done.push("a")), b.then(() => done.push("b"))]);
  first().reply({ seq: 2n }, "sleep", {});
  await b;
  first().reply({ seq: 1n }, "sleep", {});
  await both;
  expect(done).toEqual(["b", "a"]);
});

test("each call acknowledges what is answered without a gap", async () => {
  const slow = os.time.sleep(1);
  await received(1);
  answerSleep();
  await os.time.sleep(2);
  await os.time.sleep(3);
  expect(kernel.calls.map((call) => call.ackedThrough)).toEqual([0n, 0n, 0n]);
  first().reply({ seq: 1n }, "sleep", {});
  await slow;
  await os.time.sleep(4);
  expect(kernel.calls.at(-1)?.ackedThrough).toBe(3n);
});

test("many answers at once are acknowledged without waiting for the next call", async () => {
  const sleeps = Array.from({ length: 70 }, () => os.time.sleep(1));
  await received(70);
  for (const { seq } of kernel.calls) first().reply({ seq }, "sleep", {});
  await Promise.all(sleeps);
  answerSleep();
  await os.time.sleep(1);
  expect(kernel.acks).toEqual([64n]);
});

test("the kernel's no is a SyscallError with its detail", async () => {
  kernel.on("tokenize", (call, _args, session) =>
    session.fail(call, { name: "EINVAL", message: "text: too long", argument: "text" }),
  );
  const refused = os.llm.tokenize("x");
  await expect(refused).rejects.toBeInstanceOf(SyscallError);
  await expect(refused).rejects.toMatchObject({
    code: "EINVAL",
    argument: "text",
    retryable: false,
    retryAfterMs: 0,
  });
});

test("a call too long for the wire is refused alone", async () => {
  const sleeping = os.time.sleep(1);
  const long = os.llm.tokenize("x".repeat(33 * 1024 * 1024));
  await expect(long).rejects.toMatchObject({ code: "E2BIG" });
  await received(1);
  first().reply({ seq: 1n }, "sleep", {});
  await sleeping;
  answerSleep();
  await os.time.sleep(2);
  expect(kernel.calls.map((call) => call.seq)).toEqual([1n, 2n]);
});

test("an answer to another question is no answer", async () => {
  kernel.on("uname", (call, _args, session) => session.reply(call, "sleep", {}));
  await expect(os.sys.uname()).rejects.toThrow("the kernel answered uname with sleep");
});

test("a broken stream is restored, and calls without a reply are repeated as they were", async () => {
  const sent = os.ipc.send("n1.2", "hello", { timeoutMs: 5_000 });
  const read = os.time.sleep(1);
  await received(2);
  kernel.on("send", (call, _args, session) => session.reply(call, "send", { id: 1n }));
  answerSleep();
  first().cut();
  await Promise.all([sent, read]);
  expect(kernel.sessions[1]?.hello).toMatchObject({
    pid: (1n << 52n) | 17n,
    run: 1,
    resumeToken: "resume",
  });
  expect(kernel.calls.slice(2)).toEqual(kernel.calls.slice(0, 2));
  await os.time.sleep(2);
  expect(kernel.calls.at(-1)).toMatchObject({ seq: 3n, ackedThrough: 2n });
});

test("a call made while the stream is being restored is sent once, after the older ones", async () => {
  const older = os.time.sleep(1);
  await received(1);
  answerSleep();
  let newer: Promise<void> | undefined;
  kernel.welcome = () => {
    newer = os.time.sleep(2);
    return {};
  };
  first().cut();
  await older;
  await newer;
  expect(kernel.calls.map((call) => call.seq)).toEqual([1n, 1n, 2n]);
});

test("a cancelled call is repeated and cancelled again, so that its end is known", async () => {
  kernel.onCancel = () => undefined;
  const abort = new AbortController();
  const sleeping = os.time.sleep(1, { signal: abort.signal });
  await received(1);
  abort.abort();
  kernel.onCancel = (seq, session) => session.fail({ seq }, { name: "ECANCELED" });
  first().cut();
  await expect(sleeping).rejects.toMatchObject({ name: "AbortError" });
  expect(kernel.cancels).toContain(1n);
  answerSleep();
  await os.time.sleep(2);
  expect(kernel.calls.at(-1)?.ackedThrough).toBe(1n);
});

test("a refused resume rejects every call with ConnectionError", async () => {
  const sleeping = os.time.sleep(1);
  await received(1);
  kernel.welcome = () => ({ refuse: { name: "EACCES", message: "no such run" } });
  first().cut();
  await expect(sleeping).rejects.toBeInstanceOf(ConnectionError);
  await expect(sleeping).rejects.toMatchObject({
    message: `lost the kernel at ${kernel.address}: the wire was cut`,
    cause: { code: "EACCES" },
  });
  await expect(os.sys.uname()).rejects.toBeInstanceOf(ConnectionError);
});

test("another run is no resume", async () => {
  const sleeping = os.time.sleep(1);
  await received(1);
  kernel.welcome = () => ({ run: 2 });
  first().cut();
  await expect(sleeping).rejects.toBeInstanceOf(ConnectionError);
});

test("a stream that breaks again before a word came is given up", async () => {
  const sleeping = os.time.sleep(1);
  await received(1);
  first().cut();
  await received(2);
  kernel.sessions[1]?.cut();
  await expect(sleeping).rejects.toBeInstanceOf(ConnectionError);
  expect(kernel.sessions).toHaveLength(2);
});

test("a dead kernel rejects every call, and those after it", async () => {
  const calls = [os.time.sleep(1), os.ipc.recv(), os.llm.generate("x").then()];
  await received(3);
  kernel.die();
  for (const call of calls) await expect(call).rejects.toBeInstanceOf(ConnectionError);
  await expect(os.proc.ps()).rejects.toBeInstanceOf(ConnectionError);
});

test("a stream that the kernel ends is not resumed", async () => {
  const sleeping = os.time.sleep(1);
  await received(1);
  first().end();
  await expect(sleeping).rejects.toThrow("the kernel ended the connection");
  expect(kernel.sessions).toHaveLength(1);
});

test("what the kernel says before it hangs up is passed on", async () => {
  const sleeping = os.time.sleep(1);
  await received(1);
  first().fail({ seq: 0n }, { name: "ECANCELED", message: "the process attached somewhere else" });
  first().end();
  await expect(sleeping).rejects.toThrow(
    "the kernel ended the connection: ECANCELED: the process attached somewhere else",
  );
});
