import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, duplexPair } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ContixError } from "../../proto/errno.js";
import { frames } from "../../proto/frame.js";
import { FromDriver, Open, ToDriver } from "../../proto/gen/contix/driver/v1/llm.js";
import { type DriverOptions, runDriver } from "./driver.js";
import { HashModel, letters } from "./engine/testing/hash-model.js";
import { burst as anyBurst, bind, planOf } from "./engine/testing/plans.js";
import { tinyModel } from "./models/tiny.js";
import type { TextServer } from "./text/server.js";

/** The kernel's end: sends messages, and waits for those that come. */
class Kernel {
  readonly received: NonNullable<FromDriver["msg"]>[] = [];
  readonly closed: Promise<void>;
  readonly #channel;
  #heard: () => void = () => {};

  constructor(stream: Duplex) {
    let close: () => void = () => {};
    this.closed = new Promise((resolve) => {
      close = resolve;
    });
    this.#channel = frames<FromDriver, ToDriver>(
      stream,
      FromDriver,
      ToDriver,
      ({ msg }) => {
        if (msg) this.received.push(msg);
        this.#heard();
      },
      () => close(),
    );
  }

  send(msg: NonNullable<ToDriver["msg"]>): void {
    this.#channel.send({ msg });
  }

  open(fields: Partial<Open> = {}): void {
    this.send({ $case: "open", value: Open.fromPartial(fields) });
  }

  /** The next message of a kind, once it is there; it is taken. */
  async next<K extends NonNullable<FromDriver["msg"]>["$case"]>(kind: K) {
    while (true) {
      const at = this.received.findIndex((msg) => msg.$case === kind);
      const [msg] = at < 0 ? [] : this.received.splice(at, 1);
      if (msg) return msg.value as Extract<FromDriver["msg"], { $case: K }>["value"];
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }
}

/** A model whose first decode waits until the test releases it. */
class SlowModel extends HashModel {
  running = false;
  release: () => void = () => {};
  readonly #released = new Promise<void>((resolve) => {
    this.release = resolve;
  });

  constructor() {
    super({ slots: 2, slotTokens: 64, vocab: 64, eosIds: [] });
  }

  override async decode(rows: Parameters<HashModel["decode"]>[0]) {
    this.running = true;
    await this.#released;
    this.running = false;
    return super.decode(rows);
  }

  async untilRunning(): Promise<void> {
    while (!this.running) await new Promise(setImmediate);
  }
}

const text: TextServer = {
  encode: async (text) => [...text].map((c) => c.charCodeAt(0)),
  encodeChat: async () => {
    throw new ContixError("EINVAL", "no chat template");
  },
  detokenizer: letters,
  close: async () => {},
};

function start(open: DriverOptions["open"]): {
  kernel: Kernel;
  stream: Duplex;
  exited: Promise<number>;
} {
  const [ours, theirs] = duplexPair();
  const exited = new Promise<number>((exit) => runDriver({ open, stream: theirs, exit }));
  return { kernel: new Kernel(ours), stream: ours, exited };
}

async function ready(model: HashModel) {
  const driver = start(async () => ({ model, text }));
  driver.kernel.open();
  await driver.kernel.next("ready");
  return driver;
}

const burst = anyBurst({ genStart: 1, maxTokens: 9, ignoreEos: false });
const plan = planOf(1n, {
  steps: 3,
  binds: [bind(0, 0, { burst })],
  rows: [{ burst: 1n, slot: 0, forcedStart: 0, forced: [5], sample: true }],
});

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
  process.removeAllListeners("SIGINT");
});

test("Ready says what was opened", async () => {
  const model = new SlowModel();
  const { kernel, exited } = start(async (open) => {
    expect(open).toMatchObject({ model: "/m", slots: 2 });
    return { model, text };
  });
  kernel.open({ model: "/m", slots: 2 });
  expect(await kernel.next("ready")).toMatchObject({
    engineDigest: "hash",
    slots: 2,
    slotTokens: 64,
    vocab: 64,
    driver: "fake",
  });
  kernel.send({ $case: "shutdown", value: {} });
  expect(await exited).toBe(0);
  expect(model.calls).toEqual(["close"]);
});

test("text is answered while a step runs", async () => {
  const model = new SlowModel();
  const { kernel, exited } = await ready(model);
  kernel.send({ $case: "plan", value: plan });
  await model.untilRunning();
  const encode = { text: "ab", special: false, start: false };
  kernel.send({ $case: "text", value: { id: 7n, what: { $case: "encode", value: encode } } });
  expect(await kernel.next("text")).toMatchObject({ id: 7n, tokens: [97, 98], error: "" });
  expect(model.running).toBe(true);
  const chat = { messages: [], tail: 0, generationPrompt: false, lastToken: 0 };
  kernel.send({ $case: "text", value: { id: 8n, what: { $case: "chat", value: chat } } });
  expect(await kernel.next("text")).toMatchObject({
    id: 8n,
    tokens: [],
    error: "no chat template",
    code: "EINVAL",
  });
  model.release();
  expect(await kernel.next("outcome")).toMatchObject({ plan: 1n, step: 0, last: false });
  kernel.send({ $case: "shutdown", value: {} });
  expect(await exited).toBe(0);
});

test.each(["shutdown", "a closed connection"])("%s ends the driver after its step", async (how) => {
  const model = new SlowModel();
  const { kernel, stream, exited } = await ready(model);
  kernel.send({ $case: "plan", value: plan });
  await model.untilRunning();
  if (how === "shutdown") kernel.send({ $case: "shutdown", value: {} });
  else stream.end();
  let code: number | undefined;
  void exited.then((value) => {
    code = value;
  });
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  expect(code).toBeUndefined();
  model.release();
  expect(await exited).toBe(0);
  expect(model.calls).toEqual(["decode 0:5", "close"]);
});

test("what can not be opened is a fault", async () => {
  const { kernel, exited } = start(async () => {
    throw new ContixError("EMODEL", "no such model");
  });
  kernel.open();
  expect(await kernel.next("fault")).toEqual({ message: "no such model" });
  expect(await exited).toBe(1);
});

test("a plan that contradicts the slots is a fault", async () => {
  const { kernel, exited } = await ready(new SlowModel());
  kernel.send({ $case: "plan", value: { ...plan, binds: [] } });
  const { message } = await kernel.next("fault");
  expect(message).toMatch(/burst 1 in slot 0, which holds no burst/);
  expect(await exited).toBe(1);
});

test("a message out of turn is a fault", async () => {
  const { kernel, exited } = start(async () => ({ model: new SlowModel(), text }));
  kernel.send({ $case: "plan", value: plan });
  expect(await kernel.next("fault")).toEqual({ message: 'message "plan" out of turn' });
  expect(await exited).toBe(1);
});

test("an error that nothing caught is a fault of the process", async () => {
  const main = fileURLToPath(new URL("../../dist/servers/llm/fake/main.js", import.meta.url));
  const stray = "process.on('SIGUSR2', () => { Promise.reject(new Error('stray')); });";
  const child = spawn(process.execPath, ["--import", `data:text/javascript,${stray}`, main], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  try {
    const kernel = new Kernel(child.stdio[3] as Duplex);
    kernel.open({ slots: 1, slotTokens: 64 });
    await kernel.next("ready");
    const exit = once(child, "exit");
    child.kill("SIGUSR2");
    expect(await kernel.next("fault")).toEqual({ message: "stray" });
    expect(await exit).toEqual([1, null]);
  } finally {
    child.kill("SIGKILL");
  }
});

test("the process serves the tiny model, and ends with its kernel's connection", async () => {
  const home = await mkdtemp(join(tmpdir(), "contix-driver-"));
  const main = fileURLToPath(new URL("../../dist/servers/llm/main.js", import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [main], {
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  });
  try {
    const stream = child.stdio[3] as Duplex;
    const kernel = new Kernel(stream);
    kernel.open({ model: await tinyModel(home), slots: 2, slotTokens: 128, threads: 1 });
    expect(await kernel.next("ready")).toMatchObject({ model: "tiny", slotTokens: 128 });
    kernel.send({ $case: "plan", value: plan });
    expect(await kernel.next("outcome")).toMatchObject({ rows: [{ burst: 1n, length: 1 }] });
    const exit = once(child, "exit");
    stream.destroy();
    expect(await exit).toEqual([0, null]);
  } finally {
    child.kill("SIGKILL");
    await rm(home, { recursive: true, force: true });
  }
});
