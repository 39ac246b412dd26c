import { expect } from "vitest";
import { ConnectionError, SyscallError } from "../index.js";
import { test } from "../testing-support/attached.js";
import type { FakeKernel } from "../testing-support/fake-kernel.js";

const answerSleep = (kernel: FakeKernel): void => {
  kernel.on("sleep", (call, _args, session) => session.reply(call, "sleep", {}));
};

test("calls are numbered from 1 and answered in any order", async ({ kernel, os }) => {
  const a = os.time.sleep(1);
  const b = os.time.sleep(2);
  await kernel.received(2);
  expect(kernel.calls.map((call) => call.seq)).toEqual([1n, 2n]);
  const done: string[] = [];
  const both = Promise.all([a.then(() => done.push("a")), b.then(() => done.push("b"))]);
  kernel.first.reply({ seq: 2n }, "sleep", {});
  await b;
  kernel.first.reply({ seq: 1n }, "sleep", {});
  await both;
  expect(done).toEqual(["b", "a"]);
});

test("each call acknowledges what is answered without a gap", async ({ kernel, os }) => {
  const slow = os.time.sleep(1);
  await kernel.received(1);
  answerSleep(kernel);
  await os.time.sleep(2);
  await os.time.sleep(3);
  expect(kernel.calls.map((call) => call.ackedThrough)).toEqual([0n, 0n, 0n]);
  kernel.first.reply({ seq: 1n }, "sleep", {});
  await slow;
  await os.time.sleep(4);
  expect(kernel.calls.at(-1)?.ackedThrough).toBe(3n);
});

test("many answers at once are acknowledged without waiting for the next call", async ({
  kernel,
  os,
}) => {
  const sleeps = Array.from({ length: 70 }, () => os.time.sleep(1));
  await kernel.received(70);
  for (const { seq } of kernel.calls) kernel.first.reply({ seq }, "sleep", {});
  await Promise.all(sleeps);
  answerSleep(kernel);
  await os.time.sleep(1);
  expect(kernel.acks).toEqual([64n]);
});

test("the kernel's no is a SyscallError with its detail", async ({ kernel, os }) => {
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

test("a call too long for the wire is refused alone", async ({ kernel, os }) => {
  const sleeping = os.time.sleep(1);
  const long = os.llm.tokenize("x".repeat(33 * 1024 * 1024));
  await expect(long).rejects.toMatchObject({ code: "E2BIG" });
  await kernel.received(1);
  kernel.first.reply({ seq: 1n }, "sleep", {});
  await sleeping;
  answerSleep(kernel);
  await os.time.sleep(2);
  expect(kernel.calls.map((call) => call.seq)).toEqual([1n, 2n]);
});

test("an answer to another question is no answer", async ({ kernel, os }) => {
  kernel.on("uname", (call, _args, session) => session.reply(call, "sleep", {}));
  await expect(os.sys.uname()).rejects.toThrow("the kernel answered uname with sleep");
});

test("a broken stream is restored, and calls without a reply are repeated as they were", async ({
  kernel,
  os,
}) => {
  const sent = os.ipc.send("n1.2", "hello", { timeoutMs: 5_000 });
  const read = os.time.sleep(1);
  await kernel.received(2);
  kernel.on("send", (call, _args, session) => session.reply(call, "send", { id: 1n }));
  answerSleep(kernel);
  kernel.first.cut();
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

test("a call made while the stream is being restored is sent once, after the older ones", async ({
  kernel,
  os,
}) => {
  const older = os.time.sleep(1);
  await kernel.received(1);
  answerSleep(kernel);
  let newer: Promise<void> | undefined;
  kernel.welcome = () => {
    newer = os.time.sleep(2);
    return {};
  };
  kernel.first.cut();
  await older;
  await newer;
  expect(kernel.calls.map((call) => call.seq)).toEqual([1n, 1n, 2n]);
});

test("a cancelled call is repeated and cancelled again, so that its end is known", async ({
  kernel,
  os,
}) => {
  kernel.onCancel = () => undefined;
  const abort = new AbortController();
  const sleeping = os.time.sleep(1, { signal: abort.signal });
  await kernel.received(1);
  abort.abort();
  kernel.onCancel = (seq, session) => session.fail({ seq }, { name: "ECANCELED" });
  kernel.first.cut();
  await expect(sleeping).rejects.toMatchObject({ name: "AbortError" });
  expect(kernel.cancels).toContain(1n);
  answerSleep(kernel);
  await os.time.sleep(2);
  expect(kernel.calls.at(-1)?.ackedThrough).toBe(1n);
});

test("a refused resume rejects every call with ConnectionError", async ({ kernel, os }) => {
  const sleeping = os.time.sleep(1);
  await kernel.received(1);
  kernel.welcome = () => ({ refuse: { name: "EACCES", message: "no such run" } });
  kernel.first.cut();
  await expect(sleeping).rejects.toBeInstanceOf(ConnectionError);
  await expect(sleeping).rejects.toMatchObject({
    message: `lost the kernel at ${kernel.address}: the wire was cut`,
    cause: { code: "EACCES" },
  });
  await expect(os.sys.uname()).rejects.toBeInstanceOf(ConnectionError);
});

test("another run is no resume", async ({ kernel, os }) => {
  const sleeping = os.time.sleep(1);
  await kernel.received(1);
  kernel.welcome = () => ({ run: 2 });
  kernel.first.cut();
  await expect(sleeping).rejects.toBeInstanceOf(ConnectionError);
});

test("a stream that breaks again before a word came is given up", async ({ kernel, os }) => {
  const sleeping = os.time.sleep(1);
  await kernel.received(1);
  kernel.first.cut();
  await kernel.received(2);
  kernel.sessions[1]?.cut();
  await expect(sleeping).rejects.toBeInstanceOf(ConnectionError);
  expect(kernel.sessions).toHaveLength(2);
});

test("a dead kernel rejects every call, and those after it", async ({ kernel, os }) => {
  const calls = [os.time.sleep(1), os.ipc.recv(), os.llm.generate("x").then()];
  await kernel.received(3);
  kernel.die();
  for (const call of calls) await expect(call).rejects.toBeInstanceOf(ConnectionError);
  await expect(os.proc.ps()).rejects.toBeInstanceOf(ConnectionError);
});

test("a stream that the kernel ends is not resumed", async ({ kernel, os }) => {
  const sleeping = os.time.sleep(1);
  await kernel.received(1);
  kernel.first.end();
  await expect(sleeping).rejects.toThrow("the kernel ended the connection");
  expect(kernel.sessions).toHaveLength(1);
});

test("what the kernel says before it hangs up is passed on", async ({ kernel, os }) => {
  const sleeping = os.time.sleep(1);
  await kernel.received(1);
  kernel.first.fail(
    { seq: 0n },
    { name: "ECANCELED", message: "the process attached somewhere else" },
  );
  kernel.first.end();
  await expect(sleeping).rejects.toThrow(
    "the kernel ended the connection: ECANCELED: the process attached somewhere else",
  );
});
