/** The driver process, from outside: the protocol on file descriptor 3. */

import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { frames } from "../../../proto/frame.js";
import {
  Burst,
  FromDriver,
  Plan,
  type Row,
  ToDriver,
} from "../../../proto/gen/contix/driver/v1/llm.js";
import { PLAIN_DRIVER } from "../../../proto/plain-driver.js";

type Heard<K> = Extract<NonNullable<FromDriver["msg"]>, { $case: K }>["value"];

/** The kernel's side of one driver. */
class Driver {
  readonly process: ChildProcess;
  readonly closed: Promise<number | string>;
  readonly #send: (message: ToDriver) => void;
  #heard: FromDriver[] = [];
  #wake: () => void = () => {};

  constructor(options: object) {
    const main = fileURLToPath(new URL("./main.ts", import.meta.url));
    this.process = spawn(process.execPath, ["--import", "tsx", main], {
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    this.closed = new Promise((resolve) => {
      this.process.on("exit", (code, signal) => resolve(signal ?? code ?? -1));
    });
    const channel = frames(
      this.process.stdio[3] as Duplex,
      FromDriver,
      ToDriver,
      (message) => {
        this.#heard.push(message);
        this.#wake();
      },
      () => this.#wake(),
    );
    this.#send = (message) => channel.send(message);
    this.say({
      $case: "open",
      value: {
        model: "",
        slots: 4,
        slotTokens: 512,
        threads: 1,
        options: JSON.stringify(options),
        ...PLAIN_DRIVER,
      },
    });
  }

  say(msg: NonNullable<ToDriver["msg"]>): void {
    this.#send({ msg });
  }

  /** The next message, which must be of this kind. */
  async hear<K extends NonNullable<FromDriver["msg"]>["$case"]>(kind: K): Promise<Heard<K>> {
    while (this.#heard.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const { msg } = this.#heard.shift() ?? {};
    if (msg?.$case !== kind) throw new Error(`heard ${JSON.stringify(msg)}, not ${kind}`);
    return msg.value as Heard<K>;
  }

  plan(id: bigint, tokens: readonly number[], burst: Burst | undefined, rows: Row[]): void {
    const chunk = { burst: 1n, slot: 0, start: 0, tokens: [...tokens], sample: true };
    const value = Plan.fromPartial({
      id,
      steps: 400,
      binds: burst ? [{ slot: 0, keep: 0, burst }] : [],
      rows,
      chunks: burst ? [chunk] : [],
    });
    this.say({ $case: "plan", value });
  }

  async generate(prompt: readonly number[], some: Partial<Burst>): Promise<string> {
    const burst = Burst.fromPartial({
      id: 1n,
      genStart: prompt.length,
      maxTokens: 300,
      topP: 1,
      repetitionPenalty: 1,
      ...some,
    });
    this.plan(1n, prompt, burst, []);
    let text = "";
    for (;;) {
      const [row] = (await this.hear("outcome")).rows;
      text += row?.text ?? "";
      if (row !== undefined && row.finish !== "") return `${text}[${row.finish}]`;
    }
  }
}

describe("the fake driver's process", () => {
  let driver: Driver | undefined;
  const start = (options: object): Driver => {
    driver = new Driver(options);
    return driver;
  };
  afterEach(() => {
    driver?.process.kill("SIGKILL");
  });

  it("opens, encodes, generates the same again, and shuts down", async () => {
    const texts: string[] = [];
    for (let run = 0; run < 2; run++) {
      const d = start({ seed: 3, words: 20 });
      expect(await d.hear("ready")).toMatchObject({ driver: "fake", slots: 4, slotTokens: 512 });
      const chat = {
        messages: [{ role: "user", content: "Hello" }],
        tail: 0,
        generationPrompt: true,
        lastToken: 0,
      };
      d.say({ $case: "text", value: { id: 5n, what: { $case: "chat", value: chat } } });
      const { id, tokens, error } = await d.hear("text");
      expect([id, error]).toEqual([5n, ""]);
      texts.push(await d.generate(tokens, { temperature: 0.8, seed: 11n }));
      d.say({ $case: "shutdown", value: {} });
      expect(await d.closed).toBe(0);
    }
    expect(texts[0]).toMatch(/^[A-Z][\p{L}☀ ,.]+\[(eos|length)\]$/u);
    expect(texts[1]).toBe(texts[0]);
  });

  it("stops at a stop string, and says which", async () => {
    const d = start({ seed: 3 });
    await d.hear("ready");
    const text = await d.generate([257, 72, 105, 10], { stop: [" "] });
    expect(text).toMatch(/^[^ ]+\[stop\]$/);
  });

  it("exits when the kernel's end closes", async () => {
    const d = start({ stepUs: 5000 });
    await d.hear("ready");
    (d.process.stdio[3] as Duplex).destroy();
    expect(await d.closed).toBe(0);
  });

  it("crashes when told to, with a signal as of a real one", async () => {
    const d = start({ crashAfterSteps: 3 });
    await d.hear("ready");
    void d.generate([257, 72, 105, 10], {}).catch(() => {});
    expect(await d.closed).toBe("SIGKILL");
  });

  it("reports a fault when it can not open", async () => {
    const failing = start({ failOpen: "no such weights" });
    expect((await failing.hear("fault")).message).toContain("no such weights");
    expect(await failing.closed).toBe(1);
    const wrong = start({ sped: 1 });
    expect((await wrong.hear("fault")).message).toContain('"sped" is unknown');
    expect(await wrong.closed).toBe(1);
  });
});
