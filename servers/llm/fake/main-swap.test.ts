/** The swap file across the lives of a driver's process: what was written outlives kill -9. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { frames } from "../../../proto/frame.js";
import {
  Burst,
  FromDriver,
  type Open,
  Open as OpenMessage,
  type PageDone,
  Plan,
  type Ready,
  ToDriver,
} from "../../../proto/gen/contix/driver/v1/llm.js";

const PROMPT = Array.from({ length: 64 }, (_, i) => 97 + ((i * 7) % 26));
const PAGES = [0, 1, 2];
const ANSWER = 40;

/** The kernel's side of one life of the driver. */
class Life {
  readonly process: ChildProcess;
  readonly #send: (message: ToDriver) => void;
  ready: Ready | undefined;
  text = "";
  readonly pages: PageDone[] = [];
  #finished = false;
  #plans = 0n;
  #heard: () => void = () => {};

  constructor(open: Partial<Open>) {
    const main = fileURLToPath(new URL("./main.ts", import.meta.url));
    this.process = spawn(process.execPath, ["--import", "tsx", main], {
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    });
    const channel = frames(
      this.process.stdio[3] as Duplex,
      FromDriver,
      ToDriver,
      (message) => this.#receive(message),
      () => {},
    );
    this.#send = (message) => channel.send(message);
    this.#send({ msg: { $case: "open", value: OpenMessage.fromPartial(open) } });
  }

  plan(fields: Parameters<typeof Plan.fromPartial>[0]): void {
    const value = Plan.fromPartial({ id: ++this.#plans, steps: 1, ...fields });
    this.#send({ msg: { $case: "plan", value } });
  }

  /** The answer to the prompt, of which `keep` tokens are in the slot. */
  async answer(slot: number, keep: number): Promise<string> {
    const params = { maxTokens: ANSWER, topP: 1, repetitionPenalty: 1, ignoreEos: true };
    const burst = Burst.fromPartial({ id: 1n, genStart: PROMPT.length, ...params });
    this.plan({
      steps: ANSWER,
      binds: [{ slot, keep, burst }],
      chunks: [{ burst: 1n, slot, start: keep, tokens: PROMPT.slice(keep), sample: true }],
    });
    await this.until(() => this.#finished);
    return this.text;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  async kill(): Promise<void> {
    const gone = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await gone;
  }

  #receive({ msg }: FromDriver): void {
    if (msg?.$case === "ready") this.ready = msg.value;
    if (msg?.$case === "pages") this.pages.push(...msg.value.done);
    for (const row of msg?.$case === "outcome" ? msg.value.rows : []) {
      this.text += row.text;
      if (row.finish !== "") this.#finished = true;
    }
    this.#heard();
  }
}

let home: string;
let open: Partial<Open>;
let lives: Life[];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "contix-swap-"));
  const swap = { pageMemory: 2n ** 20n, swap: join(home, "fake.swap"), swapSize: 2n ** 20n };
  open = { slots: 4, slotTokens: 256, threads: 1, ...swap };
  lives = [];
});
afterEach(async () => {
  for (const { process } of lives) process.kill("SIGKILL");
  await rm(home, { recursive: true, force: true });
});

async function start(fields: Partial<Open> = {}): Promise<Life> {
  const life = new Life({ ...open, ...fields });
  lives.push(life);
  await life.until(() => life.ready !== undefined);
  return life;
}

const name = (page: number) => Buffer.alloc(32, page + 1);

/** Answers, then saves the prompt's pages and writes them. */
async function answerAndWrite(life: Life): Promise<string> {
  const text = await life.answer(0, 0);
  life.plan({
    saves: PAGES.map((page) => ({ slot: 0, start: page * 16, count: 16, frame: page })),
    writes: PAGES.map((page) => ({ frame: page, block: page + 5, name: name(page) })),
  });
  await life.until(() => life.pages.length === PAGES.length);
  return text;
}

async function read(life: Life): Promise<string[]> {
  life.plan({
    reads: PAGES.map((page) => ({
      slot: 2,
      start: page * 16,
      block: page + 5,
      name: name(page),
      tokens: PROMPT.slice(page * 16, page * 16 + 16),
    })),
  });
  await life.until(() => life.pages.length === PAGES.length);
  return life.pages.map(({ error }) => error);
}

it("goes on from pages that a killed driver had written", async () => {
  const first = await start();
  expect(first.ready).toMatchObject({ frames: 4096, blocks: 256, pageBytes: 256 });
  const text = await answerAndWrite(first);
  expect(text.length).toBeGreaterThan(20);
  expect(first.pages.map(({ error }) => error)).toEqual(["", "", ""]);
  await first.kill();

  const second = await start();
  expect(await read(second)).toEqual(["", "", ""]);
  expect(await second.answer(2, 48)).toBe(text);
  await second.kill();

  await rm(join(home, "fake.swap"));
  const third = await start();
  expect(await read(third)).toEqual(["bad page", "bad page", "bad page"]);
  expect(await third.answer(2, 0)).toBe(text);
});

it("goes on without a swap file where there can be none", async () => {
  const life = await start({ swap: join(home, "no", "such", "place", "fake.swap") });
  expect(life.ready).toMatchObject({ frames: 4096, blocks: 0 });
  expect((await life.answer(0, 0)).length).toBeGreaterThan(20);
});
