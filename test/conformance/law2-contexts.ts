/**
 * Law 2 through the whole kernel: contexts in two turns, and what happens to them between
 * the turns and within them. The kernel is booted in this process, its driver is the real
 * program in a process of its own, and everything is asked for by the SDK.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { loadConfig } from "../../kernel/config.js";
import type { ModelLibrary } from "../../kernel/engines/library.js";
import { boot } from "../../kernel/main.js";
import { type Context, connect, type GenerateOptions, type Os } from "../../syscalls/index.js";
import type { Dice } from "./law2-story.js";

/** A turn: tokens that are given, perhaps none, and an answer of so many. */
interface Turn {
  readonly given: readonly number[];
  readonly answer: GenerateOptions;
}
/** A context's life, turn by turn. */
export type Life = readonly Turn[];

interface Answer {
  readonly tokens: readonly number[];
  readonly text: string;
}
/** What a context said, and what became of it on the way. */
export interface Told {
  readonly answers: readonly Answer[];
  /** Of the second turn: tokens that were in its slot at its start, and those computed again. */
  readonly cached: number;
  readonly recomputed: number;
  /** Before the second turn: full pages, and those of them that only the swap file had. */
  readonly pages: number;
  readonly swapped: number;
  /** Slots in which it was seen. */
  readonly slots: readonly number[];
}

/** What is done to contexts that all are told at once. */
export interface Treatment {
  /** Of the kernel: slots, quantum, eviction and the like. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Room for pages in the driver's RAM, bytes. */
  readonly pageMemory: number;
  /** Between the turns, when nobody runs. */
  readonly between?: (kernel: TestedKernel) => Promise<void>;
  /** After each generation. */
  readonly after?: (kernel: TestedKernel, generations: number) => Promise<void>;
}

/** Contexts at once: as many as a driver's deaths allow waves. */
const WAVE = 50;
const DRIVER = fileURLToPath(new URL("../../dist/servers/llm/main.js", import.meta.url));

export interface LifeOptions {
  readonly count: number;
  /** Pieces of it are what is given. */
  readonly source: readonly number[];
  /** Default: 2. */
  readonly turns?: number;
}

/** Lives by dice: 20 to 120 tokens given, 4 to 12 generated in each turn; some begin alike. */
export function lives(dice: Dice, { count, source, turns = 2 }: LifeOptions): Life[] {
  const piece = (length: number): number[] => {
    const start = dice.int(0, source.length - length);
    return source.slice(start, start + length);
  };
  const preamble = piece(37);
  return Array.from({ length: count }, () => {
    const length = dice.int(20, 120);
    const alike = length > 40 && dice.chance(0.3);
    const given = alike ? [...preamble, ...piece(length - preamble.length)] : piece(length);
    return Array.from({ length: turns }, (_, turn) => ({
      given: turn === 0 ? given : piece(dice.pick([0, 1, 2, 9])),
      answer: answer(dice),
    }));
  });
}

function answer(dice: Dice): GenerateOptions {
  return {
    maxTokens: dice.int(8, 32),
    temperature: dice.pick([0, 0.7, 1.2]),
    repetitionPenalty: dice.pick([1, 1.2]),
    presencePenalty: dice.pick([0, 0.5]),
    seed: dice.int(0, 2 ** 31),
    ignoreEos: true,
  };
}

/** A kernel in this process, and the driver of the compiled model in `dir` beside it. */
export class TestedKernel implements AsyncDisposable {
  readonly os: Os;
  readonly #end: () => Promise<void>;

  private constructor(os: Os, end: () => Promise<void>) {
    this.os = os;
    this.#end = end;
  }

  /** With a home of its own. */
  static async open(dir: string, treatment: Treatment): Promise<TestedKernel> {
    const home = await mkdtemp(join(tmpdir(), "contix-law2-"));
    const kernel = await TestedKernel.at(home, dir, treatment);
    return new TestedKernel(kernel.os, async () => {
      await kernel[Symbol.asyncDispose]();
      await rm(home, { recursive: true, force: true });
    });
  }

  /** With a home that is there. */
  static async at(
    home: string,
    dir: string,
    { config, pageMemory }: Treatment,
  ): Promise<TestedKernel> {
    await writeFile(join(home, "config.yaml"), "limits: { contextsPerProcess: 1000 }\n");
    const settings = { modelIdle: "0", memoryBudget: "1TiB", logLevel: "silent", drainMs: 0 };
    const daemon = await boot(
      loadConfig({ home, model: "m", slotTokens: 256, ...settings, ...config }, {}),
      { library: libraryOf(dir, pageMemory), findNatsServer: () => Promise.reject(new Error()) },
    );
    const os = await connect({ home });
    return new TestedKernel(os, async () => {
      await os.close();
      await daemon.stop();
    });
  }

  /** Kills the driver as it stands, and returns when there is another. */
  async killDriver(): Promise<void> {
    const { driverPid } = await this.os.llm.model();
    if (driverPid === null) throw new Error("there is no driver to kill");
    process.kill(driverPid, "SIGKILL");
    for (;;) {
      const model = await this.os.llm.model();
      if (model.error !== "") throw new Error(model.error);
      if (model.state === "running" && model.driverPid !== driverPid) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Other contexts take every slot, and leave them. */
  async takeSlots(): Promise<void> {
    const { slots } = await this.os.llm.model();
    const others: Context[] = [];
    for (let i = 0; i < slots; i++) {
      const other = await this.os.ctx.create();
      await other.append({ tokens: [i + 1, i + 2] });
      await other.generate({ maxTokens: 1, ignoreEos: true });
      others.push(other);
    }
    for (const other of others) await other.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#end();
  }
}

function libraryOf(dir: string, pageMemory: number): ModelLibrary {
  const command = [process.execPath, DRIVER];
  return {
    list: async () => [],
    resolve: async (name) => name,
    prepare: async () => ({ command, model: dir, memory: 1, pageMemory }),
  };
}

/** Each context alone in one slot of a kernel that keeps no pages. */
export async function undisturbed(dir: string, all: readonly Life[]): Promise<Told[]> {
  const config = { slots: 1, threads: 1 };
  await using kernel = await TestedKernel.open(dir, { config, pageMemory: 0 });
  const told: Told[] = [];
  for (const life of all) {
    await using context = await kernel.os.ctx.create();
    const telling = new Telling(context, life);
    for (const _ of life) await telling.turn();
    told.push(telling.told);
  }
  expect((await kernel.os.sys.stats()).contextSwitches).toBe(0);
  return told;
}

/** All contexts, a wave at a time, and within a wave all at once. */
export async function treated(
  dir: string,
  all: readonly Life[],
  treatment: Treatment,
): Promise<{ told: Told[]; switches: number }> {
  await using kernel = await TestedKernel.open(dir, treatment);
  const told: Told[] = [];
  let generations = 0;
  const turns = (wave: readonly Telling[]) =>
    Promise.all(
      wave.map(async (telling) => {
        await telling.turn();
        generations++;
        await treatment.after?.(kernel, generations);
      }),
    );
  for (let first = 0; first < all.length; first += WAVE) {
    const wave: Telling[] = [];
    for (const life of all.slice(first, first + WAVE)) {
      wave.push(new Telling(await kernel.os.ctx.create(), life));
    }
    await turns(wave);
    await treatment.between?.(kernel);
    for (const telling of wave) await telling.look();
    await turns(wave);
    for (const telling of wave) await telling.context.close();
    told.push(...wave.map((telling) => telling.told));
  }
  return { told, switches: (await kernel.os.sys.stats()).contextSwitches };
}

/** One context on its way. */
export class Telling {
  readonly context: Context;
  readonly #life: Life;
  readonly #answers: Answer[] = [];
  readonly #slots = new Set<number>();
  #cached = 0;
  #recomputed = 0;
  #pages = 0;
  #swapped = 0;

  constructor(context: Context, life: Life) {
    this.context = context;
    this.#life = life;
  }

  get told(): Told {
    return {
      answers: this.#answers,
      cached: this.#cached,
      recomputed: this.#recomputed,
      pages: this.#pages,
      swapped: this.#swapped,
      slots: [...this.#slots],
    };
  }

  async look(): Promise<void> {
    const { pages, pagesSwapped } = await this.context.stat();
    this.#pages = pages;
    this.#swapped = pagesSwapped;
  }

  async turn(): Promise<void> {
    const { given = [], answer = {} } = this.#life[this.#answers.length] ?? {};
    if (given.length > 0) await this.context.append({ tokens: given });
    const generation = this.context.generate(answer);
    for await (const _ of generation) {
      const { slot } = await this.context.stat();
      if (slot !== null) this.#slots.add(slot);
    }
    const { tokens, text, usage } = await generation;
    this.#answers.push({ tokens, text });
    this.#cached = usage.cachedTokens;
    this.#recomputed = usage.recomputedTokens;
  }
}
