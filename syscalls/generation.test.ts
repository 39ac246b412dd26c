import { expect } from "vitest";
import { CREDIT } from "./chunks.js";
import { ConnectionError, SyscallError } from "./index.js";
import { test } from "./testing-support/attached.js";
import type { FakeKernel } from "./testing-support/fake-kernel.js";

const usage = {
  promptTokens: 3,
  cachedTokens: 0,
  generatedTokens: 2,
  recomputedTokens: 0,
  queuedUs: 500n,
  servedUs: 2_000n,
  firstTokenUs: 1_500n,
  left: [{ quota: "tokens", left: 90n }],
};
const result = { text: "a b", tokens: [1, 2], finish: "eos", seed: 7n, stop: "", edit: undefined };

/** A kernel that answers with `chunks`, when a stream is wanted, and the result. */
function answer(kernel: FakeKernel, ...chunks: string[]): void {
  kernel.on("generate", (call, { stream }, session) => {
    if (stream) for (const chunk of chunks) session.chunk(call, chunk);
    session.reply(call, "generate", { ...result, text: chunks.join("") }, usage);
  });
}

async function read(stream: AsyncIterable<string>): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of stream) texts.push(text);
  return texts;
}

test("awaited, it asks for one reply and gives the result with usage", async ({ kernel, os }) => {
  answer(kernel, "a ", "b");
  const done = await os.llm.generate("hi", { maxTokens: 5, seed: 7, stop: "\n", topK: 3 });
  expect(done).toEqual({
    text: "a b",
    tokens: [1, 2],
    finish: "eos",
    seed: "7",
    stop: "",
    edit: undefined,
    usage: {
      promptTokens: 3,
      cachedTokens: 0,
      generatedTokens: 2,
      recomputedTokens: 0,
      queuedMs: 0.5,
      servedMs: 2,
      firstTokenMs: 1.5,
      tokensPerSecond: 1000,
      left: { tokens: 90 },
    },
  });
  expect(kernel.calls[0]).toMatchObject({
    credit: 0,
    call: {
      value: {
        input: { $case: "prompt", value: "hi" },
        maxTokens: 5,
        stop: ["\n"],
        stream: false,
        sampling: { seed: 7n, topK: 3 },
      },
    },
  });
});

test("iterated, it asks for chunks with credit; the result can be awaited after", async ({
  kernel,
  os,
}) => {
  answer(kernel, "a ", "b");
  const generation = os.llm.chat([
    { role: "system", content: "be short" },
    { role: "user", content: "hi" },
  ]);
  expect(await read(generation)).toEqual(["a ", "b"]);
  expect(await generation).toMatchObject({ text: "a b", usage: { generatedTokens: 2 } });
  expect(kernel.calls).toHaveLength(1);
  expect(kernel.calls[0]).toMatchObject({
    credit: CREDIT,
    call: { value: { stream: true, input: { $case: "chat" } } },
  });
});

test("generations made together run together, however they are awaited", async ({ kernel, os }) => {
  const both = [os.llm.generate("one"), os.llm.generate("two")];
  const results = (async () => {
    const texts: string[] = [];
    for (const generation of both) texts.push((await generation).text);
    return texts;
  })();
  await kernel.received(2);
  for (const call of kernel.calls) {
    kernel.sessions[0]?.reply(call, "generate", { ...result, text: `${call.seq}` });
  }
  expect((await results).sort()).toEqual(["1", "2"]);
});

test("a generation that is first read later has lost nothing", async ({ kernel, os }) => {
  answer(kernel, "a ", "b");
  const generation = os.llm.generate("hi");
  await kernel.received(1);
  kernel.on("sleep", (call, _args, session) => session.reply(call, "sleep", {}));
  await os.time.sleep(1);
  expect(await read(generation)).toEqual(["a ", "b"]);
});

test("a generation that nobody uses is no unhandled rejection", async ({ kernel, os }) => {
  kernel.on("generate", (call, _args, session) => session.fail(call, { name: "EIO" }));
  os.llm.generate("hi");
  os.llm.generate("");
  await kernel.received(2);
});

test("errors reach who awaits and who iterates", async ({ kernel, os }) => {
  kernel.on("generate", (call, { stream }, session) => {
    if (stream) session.chunk(call, "a");
    session.fail(call, { name: "E2BIG", message: "9000 tokens; the window is 2048" });
  });
  await expect(os.llm.generate("x")).rejects.toMatchObject({ code: "E2BIG" });
  const generation = os.llm.generate("x");
  const texts: string[] = [];
  const loop = (async () => {
    for await (const text of generation) texts.push(text);
  })();
  await expect(loop).rejects.toBeInstanceOf(SyscallError);
  expect(texts).toEqual(["a"]);
  expect(await generation.catch((error) => (error as SyscallError).code)).toBe("E2BIG");
});

test("wrong input rejects and sends nothing", async ({ kernel, os }) => {
  await expect(os.llm.generate(5 as unknown as string)).rejects.toThrow(
    "prompt: expected a string, got 5",
  );
  await expect(os.llm.generate("half \ud83d")).rejects.toThrow(/^prompt: half of a character/);
  await expect(os.llm.generate("x", { maxTokens: 0 })).rejects.toThrow(/^maxTokens: /);
  await expect(os.llm.generate("x", { topK: -1 })).rejects.toThrow(/^topK: /);
  await expect(os.llm.generate("x", { temperature: Number.NaN })).rejects.toThrow(/^temperature/);
  await expect(os.llm.generate("x", { seed: -1n })).rejects.toThrow(/^seed: /);
  await expect(os.llm.generate("x", { stop: [1] as unknown as string[] })).rejects.toThrow(
    "stop[0]: expected a string, got 1",
  );
  await expect(os.llm.chat([{ role: "user" }] as never)).rejects.toThrow(/^messages\[0\].content/);
  expect(kernel.calls).toHaveLength(0);
});

test("leaving the loop cancels the call, and is over when the kernel has stopped it", async ({
  kernel,
  os,
}) => {
  kernel.on("generate", (call, _args, session) => session.chunk(call, "a"));
  const generation = os.llm.generate("x");
  for await (const text of generation) {
    expect(text).toBe("a");
    break;
  }
  expect(kernel.cancels).toEqual([1n]);
  await expect(generation).rejects.toMatchObject({ name: "AbortError" });
  expect(await read(generation)).toEqual([]);
});

test("an abort ends the loop with its reason; text that was not read is gone", async ({
  kernel,
  os,
}) => {
  kernel.on("generate", (call, _args, session) => {
    session.chunk(call, "a");
    session.chunk(call, "b");
  });
  const abort = new AbortController();
  const texts: string[] = [];
  const loop = (async () => {
    for await (const text of os.llm.generate("x", { signal: abort.signal })) {
      texts.push(text);
      abort.abort();
    }
  })();
  await expect(loop).rejects.toMatchObject({ name: "AbortError" });
  expect(texts).toEqual(["a"]);
  expect(kernel.cancels).toEqual([1n]);
});

test("a reader that stops pauses its own call only", async ({ kernel, os }) => {
  const sent = new Map<bigint, number>();
  const credit = new Map<bigint, number>();
  const pump = (seq: bigint, session = kernel.sessions[0]): void => {
    let left = credit.get(seq) ?? 0;
    let n = sent.get(seq) ?? 0;
    for (; left > 0 && n < 300; left--) session?.chunk({ seq }, String(n++));
    credit.set(seq, left);
    sent.set(seq, n);
    if (n === 300) session?.reply({ seq }, "generate", result);
  };
  kernel.on("generate", (call) => {
    credit.set(call.seq, call.credit);
    pump(call.seq);
  });
  kernel.onCredit = ({ seq, n }) => {
    credit.set(seq, (credit.get(seq) ?? 0) + n);
    pump(seq);
  };
  const idle = os.llm.generate("idle")[Symbol.asyncIterator]();
  await idle.next();
  const busy = await read(os.llm.generate("busy"));
  expect(busy).toHaveLength(300);
  expect(sent.get(1n)).toBe(CREDIT);
  expect(sent.get(2n)).toBe(300);
  const rest = await read({ [Symbol.asyncIterator]: () => idle });
  expect(rest).toHaveLength(299);
});

test("awaiting a stream that is not read to its end takes all of it", async ({ kernel, os }) => {
  let call: { seq: bigint } = { seq: 0n };
  kernel.on("generate", (made, _args, session) => {
    call = made;
    for (let i = 0; i < CREDIT; i++) session.chunk(made, "x");
  });
  kernel.onCredit = (_credit, session) => session.reply(call, "generate", result);
  const generation = os.llm.generate("x");
  const reader = generation[Symbol.asyncIterator]();
  await reader.next();
  expect((await generation).text).toBe("a b");
});

test("a stream whose connection breaks rejects; its call is stopped on the new one", async ({
  kernel,
  os,
}) => {
  kernel.on("generate", (call, _args, session) => session.chunk(call, "a"));
  const generation = os.llm.generate("x");
  const reader = generation[Symbol.asyncIterator]();
  await reader.next();
  kernel.sessions[0]?.cut();
  await expect(reader.next()).rejects.toBeInstanceOf(ConnectionError);
  await expect(generation).rejects.toBeInstanceOf(ConnectionError);
  kernel.on("sleep", (call, _args, session) => session.reply(call, "sleep", {}));
  await os.time.sleep(1);
  expect(kernel.cancels).toEqual([1n]);
  expect(kernel.calls.at(-1)).toMatchObject({ seq: 2n });
  await os.time.sleep(1);
  expect(kernel.calls.at(-1)?.ackedThrough).toBe(2n);
});

test("an awaited generation survives a broken connection", async ({ kernel, os }) => {
  const generation = os.llm.generate("x");
  const text = generation.then(({ text }) => text);
  await kernel.received(1);
  answer(kernel, "a b");
  kernel.sessions[0]?.cut();
  expect(await text).toBe("a b");
});

test("a full kernel is tried again for a stream too", async ({ kernel, os }) => {
  kernel.on("generate", (call, _args, session) => {
    if (call.seq === 1n) return session.fail(call, { name: "EAGAIN", retryAfterUs: 1n });
    session.chunk(call, "a");
    session.reply(call, "generate", result);
  });
  expect(await read(os.llm.generate("x", { retries: 1 }))).toEqual(["a"]);
});
