/** Several models in one kernel: the real tiny one and the fake one, each with its own driver. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ModelInfo, Os } from "../../syscalls/index.js";
import {
  startTestKernel,
  type TestKernel,
  type TestKernelOptions,
} from "../../syscalls/testing.js";
import { health } from "../support/health.js";
import { until } from "../support/kernels.js";

const open: AsyncDisposable[] = [];
const models = mkdtempSync(join(tmpdir(), "contix-models-"));
const before = process.env.CONTIX_MODELS;

beforeAll(() => {
  process.env.CONTIX_MODELS = models;
});
afterAll(() => {
  if (before === undefined) delete process.env.CONTIX_MODELS;
  else process.env.CONTIX_MODELS = before;
  rmSync(models, { recursive: true, force: true });
});
afterEach(async () => {
  for (const kernel of open.splice(0).reverse()) await kernel[Symbol.asyncDispose]();
});

/** The default is tiny; fake is there beside it. */
async function start(
  flags: readonly string[] = [],
  options: TestKernelOptions = {},
): Promise<{ kernel: TestKernel; os: Os }> {
  const tiny = ["--driver", "onnxruntime", "--model", "tiny", "--slots", "4", "--threads", "1"];
  const kernel = await startTestKernel({ ...options, flags: [...tiny, ...flags] });
  open.push(kernel);
  const os = await kernel.connect();
  open.push(os);
  return { kernel, os };
}

async function model(os: Os, name: string): Promise<ModelInfo> {
  const found = (await os.llm.models()).find((info) => info.name === name);
  if (!found) throw new Error(`no model ${name}`);
  return found;
}

async function killDriver(os: Os, name: string): Promise<void> {
  const { driverPid } = await model(os, name);
  // 0 would be the process group of the tests.
  if (driverPid === null) throw new Error(`${name} has no driver`);
  process.kill(driverPid, "SIGKILL");
}

const failed = (call: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(call).then(
    () => undefined,
    (error: unknown) => error,
  );

const GREEDY = { maxTokens: 24, seed: 5, temperature: 1, ignoreEos: true };

describe("a model", () => {
  it("is started by the first call that names it, once for all of them", async () => {
    const { kernel, os } = await start(["--queue-limit", "8"]);
    expect(await model(os, "tiny")).toMatchObject({ state: "running", default: true, slots: 4 });
    expect(await model(os, "fake")).toMatchObject({ state: "stopped", loaded: false, slots: 0 });
    // More than its queue holds: the rest hear of it at once, though no driver is there yet.
    const calls = Array.from({ length: 40 }, () =>
      os.llm.generate("Hello", { maxTokens: 4, seed: 1, model: "fake", retries: 0 }),
    );
    const results = await Promise.allSettled(calls);
    const texts = results.flatMap((r) => (r.status === "fulfilled" ? [r.value.text] : []));
    const errors = results.flatMap((r) => (r.status === "rejected" ? [r.reason.code] : []));
    expect(new Set(texts).size).toBe(1);
    expect(texts.length).toBeGreaterThan(4);
    expect(new Set(errors)).toEqual(new Set(["EAGAIN"]));
    expect(await model(os, "fake")).toMatchObject({ state: "running", driverRestarts: 0 });
    expect(await health(kernel.address, "contix.v1.Model/fake")).toBe("SERVING");
    const { driverPid } = await os.sys.uname();
    expect((await model(os, "fake")).driverPid).not.toBe(driverPid);
    expect((await model(os, "tiny")).driverPid).toBe(driverPid);
  });

  it("that must be compiled first is, while the kernel serves", async () => {
    const kernel = await startTestKernel({ flags: ["--driver", "onnxruntime", "--model", "fake"] });
    open.push(kernel);
    await using os = await kernel.connect();
    const [tiny, fake] = await Promise.all([
      os.llm.generate("Hello", { ...GREEDY, model: "tiny" }),
      os.llm.generate("Hello", GREEDY),
    ]);
    expect([tiny.tokens.length, fake.tokens.length]).toEqual([24, 24]);
    expect((await model(os, "tiny")).memory).toBeGreaterThan(192 << 20);
  });

  it("has contexts of its own, which no other goes on with", async () => {
    const { os } = await start();
    await using own = await os.ctx.create();
    await using other = await os.ctx.create({ model: "fake" });
    expect([own.model, other.model]).toEqual(["tiny", "fake"]);
    await own.append("one");
    await other.append("two");
    const [a, b] = await Promise.all([own.generate(GREEDY), other.generate(GREEDY)]);
    expect(a.text).not.toBe(b.text);
    expect(JSON.parse(JSON.stringify(a)).seed).toBe("5");
    expect(await failed(own.generate({ ...GREEDY, model: "fake" }))).toMatchObject({
      code: "EXDEV",
      argument: "model",
    });
    expect((await own.generate({ ...GREEDY, model: "tiny" })).tokens.length).toBe(24);
    expect((await own.stat()).model).toBe("tiny");
    const [me] = (await os.proc.ps()).filter((proc) => proc.pid === os.pid);
    expect(me?.models).toEqual(["tiny", "fake"]);
    const { slot } = await os.sys.stats();
    expect(slot.filter((s) => s.cid === other.cid)).toMatchObject([{ model: "fake" }]);
    const text = "the tokens of each";
    const theirs = await os.llm.tokenize(text, { model: "fake" });
    expect(await os.llm.tokenize(text)).not.toEqual(theirs);
  });

  it("that is not there is refused with the names of those that are", async () => {
    const { os } = await start();
    for (const call of [
      () => os.llm.generate("a", { model: "gpt-9" }),
      () => os.ctx.create({ model: "gpt-9" }),
      () => os.llm.tokenize("a", { model: "gpt-9" }),
    ]) {
      expect(await failed(call())).toMatchObject({
        code: "EMODEL",
        message: expect.stringMatching(/gpt-9.*tiny/s),
      });
    }
    expect((await os.llm.models()).map(({ name }) => name)).toEqual(["tiny", "fake"]);
  });

  it("can be waited for in vain: the call is cancelled, the model comes up", async () => {
    const { os } = await start();
    const stop = new AbortController();
    const call = failed(os.llm.generate("a", { model: "fake", signal: stop.signal }));
    const late = failed(os.llm.generate("a", { model: "fake", timeoutMs: 1 }));
    await until(async () => (await model(os, "fake")).state !== "stopped");
    stop.abort();
    expect(await call).toMatchObject({ name: "AbortError" });
    expect(await late).toMatchObject({ code: "ETIMEDOUT" });
    expect((await os.llm.generate("a", { model: "fake", maxTokens: 2 })).tokens.length).toBe(2);
    expect(await model(os, "fake")).toMatchObject({ queued: 0, slotsUsed: 0 });
  });
});

describe("a driver that dies", () => {
  it("disturbs no other model, and its own contexts go on with the same bytes", async () => {
    const { os } = await start([], { stepUs: 2000 });
    const long = { ...GREEDY, maxTokens: 120, model: "fake" };
    const alone = await os.llm.generate("undisturbed", long);
    await using ctx = await os.ctx.create();
    await ctx.append("a story");
    const first = await ctx.generate(GREEDY);
    await using twin = await os.ctx.create();
    await twin.append("a story");
    await twin.generate(GREEDY);
    const expected = await twin.generate(GREEDY);

    const generation = os.llm.generate("undisturbed", long);
    let text = "";
    let killed = false;
    for await (const piece of generation) {
      text += piece;
      if (!killed) await killDriver(os, "tiny");
      killed = true;
    }
    expect(text).toBe(alone.text);
    expect((await generation).usage.recomputedTokens).toBe(0);
    const again = await ctx.generate(GREEDY);
    expect(again.tokens).toEqual(expected.tokens);
    expect(again.usage.recomputedTokens).toBeGreaterThan(0);
    expect(first.tokens).not.toEqual(again.tokens);
    expect(await model(os, "tiny")).toMatchObject({ driverRestarts: 1 });
    expect(await model(os, "fake")).toMatchObject({ driverRestarts: 0 });
  });

  it("again and again is given up: its calls fail, health says so, others go on", async () => {
    const { kernel, os } = await start(["--driver-options", '{"crashAfterSteps":2}']);
    const call = (): Promise<unknown> => failed(os.llm.generate("x", { ...GREEDY, model: "fake" }));
    expect(await call()).toMatchObject({
      code: "EIO",
      message: expect.stringMatching(/fake.*died/),
    });
    expect(await model(os, "fake")).toMatchObject({
      state: "failed",
      error: expect.stringContaining("died"),
    });
    expect(await call()).toMatchObject({ code: "EIO", retryAfterMs: 30_000 });
    expect(await health(kernel.address, "contix.v1.Model/fake")).toBe("NOT_SERVING");
    expect(await health(kernel.address)).toBe("SERVING");
    expect((await os.llm.generate("x", GREEDY)).tokens.length).toBe(24);
  });

  it("as the default's: the kernel serves no more, and says so", async () => {
    const kernel = await startTestKernel({
      flags: ["--driver-options", '{"crashAfterSteps":2}'],
    });
    open.push(kernel);
    await using os = await kernel.connect();
    expect(await health(kernel.address)).toBe("SERVING");
    expect(await failed(os.llm.generate("x", GREEDY))).toMatchObject({ code: "EIO" });
    expect(await health(kernel.address)).toBe("NOT_SERVING");
    expect(await health(kernel.address, "contix.v1.Kernel")).toBe("NOT_SERVING");
    // Whoever asks for nothing that needs the driver is answered.
    expect((await os.proc.ps()).length).toBe(1);
  });

  it("before it is ready: a typed error for its calls, and for a while the same", async () => {
    const { kernel, os } = await start(["--driver-options", '{"failOpen":"no luck today"}']);
    const call = (): Promise<unknown> => failed(os.llm.generate("x", { model: "fake" }));
    const says = { code: "EIO", message: expect.stringContaining("no luck today") };
    expect(
      await Promise.all([call(), call(), failed(os.ctx.create({ model: "fake" }))]),
    ).toMatchObject([says, says, says]);
    // Each failure is remembered for a while; a slow machine may need another.
    await until(async () => {
      expect(await call()).toMatchObject(says);
      const { state, driverPid } = await model(os, "fake");
      return state === "failed" && driverPid === null;
    });
    await until(async () => {
      await call();
      return (await health(kernel.address, "contix.v1.Model/fake")) === "NOT_SERVING";
    });
    // It is not given up for good: it counts as stopped again, and may be asked for.
    await until(async () => (await model(os, "fake")).state === "stopped");
    await until(async () => (await health(kernel.address, "contix.v1.Model/fake")) === "SERVING");
    expect(await health(kernel.address)).toBe("SERVING");
  });
});

describe("an idle model", () => {
  it("is stopped, and comes back with the same bytes", async () => {
    const { os } = await start(["--model-idle", "400ms"]);
    const turn = { maxTokens: 16, seed: 9, temperature: 0.8 };
    const talk = async (pause: () => Promise<void>): Promise<readonly number[][]> => {
      await using ctx = await os.ctx.create();
      const said: number[][] = [];
      for (const message of ["first", "and then", "in the end"]) {
        said.push([...(await ctx.chat(message, turn)).tokens]);
        await pause();
      }
      return said;
    };
    const expected = await talk(async () => {});
    const gone = (): Promise<void> =>
      until(async () => (await model(os, "tiny")).driverPid === null);
    const got = await talk(gone);
    expect(got).toEqual(expected);
    expect(await model(os, "tiny")).toMatchObject({ state: "stopped", driverPid: null });
    expect((await os.sys.stats()).memoryUsed).toBe(0);
    expect((await os.sys.stats()).driverRestarts).toBe(0);
    // A context that still has a slot in the books has none in a driver that is gone.
    expect((await os.sys.stats()).slot.every((slot) => slot.tokens === 0)).toBe(true);
  });
});

describe("the memory budget", () => {
  it("lets the model that is not used give way, and nobody else", async () => {
    const { os } = await start(["--memory-budget", "240MiB"], { stepUs: 3000 });
    await using ctx = await os.ctx.create();
    await ctx.append("kept");
    const first = await ctx.generate(GREEDY);
    const stream = os.llm.generate("x", { ...GREEDY, maxTokens: 400, model: "fake" });
    const reader = stream[Symbol.asyncIterator]();
    await reader.next();
    expect(await model(os, "tiny")).toMatchObject({ state: "stopped" });
    expect(await failed(ctx.generate({ ...GREEDY, retries: 0 }))).toMatchObject({
      code: "EAGAIN",
      message: expect.stringMatching(/tiny needs \d+ MiB.*240 MiB.*fake/),
      retryAfterMs: 1000,
    });
    await reader.return?.();
    const second = await ctx.generate(GREEDY);
    expect(second.usage.recomputedTokens).toBeGreaterThan(first.tokens.length);
    expect(await model(os, "fake")).toMatchObject({ state: "stopped" });
  });

  it("that is too small for a model says both numbers", async () => {
    await expect(start(["--memory-budget", "100MiB"])).rejects.toThrow(
      /tiny needs \d+ MiB, the memory budget is 100 MiB/,
    );
    const kernel = await startTestKernel({
      flags: ["--memory-budget", "64MiB", "--preload", "b"],
    }).catch((error: Error) => error);
    expect(kernel).toMatchObject({ message: expect.stringContaining("64 MiB") });
  });
});

describe("a list of models", () => {
  it("is started with the daemon", async () => {
    const kernel = await startTestKernel({ flags: ["--model", "a", "--model", "b"] });
    open.push(kernel);
    await using os = await kernel.connect();
    expect(await os.llm.models()).toMatchObject([
      { name: "a", default: true, state: "running" },
      { name: "b", default: false, state: "running" },
    ]);
    expect((await os.llm.model()).name).toBe("a");
  });
});
