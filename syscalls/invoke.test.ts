import { expect, vi } from "vitest";
import { RecvResult } from "../proto/gen/contix/v1/calls.js";
import { SyscallError } from "./index.js";
import { test } from "./testing-support/attached.js";
import type { FakeKernel } from "./testing-support/fake-kernel.js";

/** A kernel that is full for the first `times` sleeps. */
function fullFor(kernel: FakeKernel, times: number): void {
  let left = times;
  kernel.on("sleep", (call, _args, session) => {
    if (left-- > 0) session.fail(call, { name: "EAGAIN", message: "full", retryAfterUs: 1000n });
    else session.reply(call, "sleep", {});
  });
}

test("a full kernel is an error with the time to try again", async ({ kernel, os }) => {
  fullFor(kernel, 1);
  const refused = os.time.sleep(1);
  await expect(refused).rejects.toMatchObject({ code: "EAGAIN", retryable: true, retryAfterMs: 1 });
  expect(kernel.calls).toHaveLength(1);
});

test("retries try again, each time as a new call", async ({ kernel, os }) => {
  fullFor(kernel, 2);
  await os.time.sleep(1, { retries: 2 });
  expect(kernel.calls.map((call) => call.seq)).toEqual([1n, 2n, 3n]);
});

test("retries end with the kernel's last no", async ({ kernel, os }) => {
  fullFor(kernel, 9);
  await expect(os.time.sleep(1, { retries: 2 })).rejects.toMatchObject({ code: "EAGAIN" });
  expect(kernel.calls).toHaveLength(3);
});

test("a try that would come after the deadline is not made", async ({ kernel, os }) => {
  kernel.on("sleep", (call, _args, session) =>
    session.fail(call, { name: "EAGAIN", message: "full", retryAfterUs: 60_000_000n }),
  );
  const refused = os.time.sleep(1, { retries: 5, timeoutMs: 10_000 });
  await expect(refused).rejects.toMatchObject({ code: "EAGAIN" });
  expect(kernel.calls).toHaveLength(1);
});

test("other errors are not tried again", async ({ kernel, os }) => {
  kernel.on("sleep", (call, _args, session) => session.fail(call, { name: "EBUSY" }));
  await expect(os.time.sleep(1, { retries: 5 })).rejects.toMatchObject({ code: "EBUSY" });
  expect(kernel.calls).toHaveLength(1);
});

test("an abort while waiting to try again ends the call with its reason", async ({
  kernel,
  os,
}) => {
  const abort = new AbortController();
  kernel.on("sleep", (call, _args, session) => {
    session.fail(call, { name: "EAGAIN", message: "full", retryAfterUs: 60_000_000n });
    setImmediate(() => abort.abort(new Error("enough")));
  });
  await expect(os.time.sleep(1, { retries: 1, signal: abort.signal })).rejects.toThrow("enough");
});

test("a timeout travels with the call, and 0 is the shortest there is", async ({ kernel, os }) => {
  kernel.on("recv", (call, _args, session) =>
    session.fail(call, { name: "ETIMEDOUT", message: "no message" }),
  );
  await expect(os.ipc.recv({ timeoutMs: 0 })).rejects.toMatchObject({ code: "ETIMEDOUT" });
  await expect(os.ipc.recv({ timeoutMs: 2_000 })).rejects.toBeInstanceOf(SyscallError);
  await expect(os.ipc.recv()).rejects.toBeInstanceOf(SyscallError);
  const [shortest, long, none] = kernel.calls.map((call) => call.timeoutUs);
  expect(shortest).toBe(1n);
  expect(long).toBeGreaterThan(1_000_000n);
  expect(long).toBeLessThanOrEqual(2_000_000n);
  expect(none).toBe(0n);
});

test("an abort sends Cancel; the call rejects once the kernel has stopped it", async ({
  kernel,
  os,
}) => {
  const abort = new AbortController();
  const waiting = os.ipc.recv({ signal: abort.signal });
  await kernel.received(1);
  abort.abort();
  await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  await expect(waiting).rejects.toBeInstanceOf(DOMException);
  expect(kernel.cancels).toEqual([1n]);
});

test("a call that was done before its cancel is not lost", async ({ kernel, os }) => {
  const abort = new AbortController();
  kernel.onCancel = (seq, session) =>
    session.reply(
      { seq },
      "recv",
      RecvResult.fromPartial({ id: 1n, from: 1n << 52n, body: Buffer.from("hi") }),
    );
  const waiting = os.ipc.recv({ signal: abort.signal });
  await kernel.received(1);
  abort.abort();
  expect((await waiting).text).toBe("hi");
});

test("a kernel that does not confirm a cancel is not waited for long", async ({ kernel, os }) => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    kernel.onCancel = () => undefined;
    const abort = new AbortController();
    const waiting = os.ipc.recv({ signal: abort.signal });
    const over = expect(waiting).rejects.toThrow("enough");
    await kernel.received(1);
    abort.abort(new Error("enough"));
    await vi.advanceTimersByTimeAsync(2_000);
    await over;
  } finally {
    vi.useRealTimers();
  }
});

test("an aborted signal sends nothing", async ({ kernel, os }) => {
  const signal = AbortSignal.abort(new Error("never mind"));
  await expect(os.time.sleep(1, { signal })).rejects.toThrow("never mind");
  await expect(os.llm.generate("x", { signal })).rejects.toThrow("never mind");
  expect(kernel.calls).toHaveLength(0);
});

test("one signal for many calls is no leak", async ({ kernel, os }) => {
  const warnings: unknown[] = [];
  const warn = (warning: unknown): unknown => warnings.push(warning);
  process.on("warning", warn);
  const abort = new AbortController();
  const { signal } = abort;
  const calls = Array.from({ length: 30 }, () => [
    os.time.sleep(1, { signal }),
    os.llm.generate("x", { signal }),
  ]);
  const over = Promise.allSettled(calls.flat());
  await kernel.received(60);
  abort.abort();
  await over;
  await new Promise((turn) => setImmediate(turn));
  process.off("warning", warn);
  expect(warnings).toEqual([]);
});

test.for([Number.NaN, "1", -1.5])("retries: %s is refused", async (retries, { os }) => {
  await expect(os.time.sleep(1, { retries: retries as number })).rejects.toThrow(/^retries: /);
});
