/**
 * Law 2 with pages: stories that are cut short at dice's whim, saved page by page, written
 * to a swap file, and told to their end in another slot, from frames, from the file, or
 * from both. Others decode beside them all the while, in slots before and behind, so that
 * every run of the model passes over the slots that are being filled.
 */
import { join } from "node:path";
import type {
  PageLoad,
  PageRead,
  PageSave,
  PageWrite,
  Plan,
  Row,
} from "../../proto/gen/contix/driver/v1/llm.js";
import type { Model } from "../../servers/llm/engine/model.js";
import { PAGE_TOKENS } from "../../servers/llm/engine/pages.js";
import { SwapFile } from "../../servers/llm/engine/swap-file.js";
import { Bench, bind, burst } from "../../servers/llm/engine/testing/plans.js";
import { Witness } from "./law2.js";
import type { Dice } from "./law2-story.js";

/** What a story's burst sampled, and from which bits. */
export interface Told {
  readonly tokens: number[];
  readonly logits: (number | number[])[];
}

export interface PagedStory {
  readonly given: readonly number[];
  readonly seed: bigint;
  /** Tokens that it generates. */
  readonly answer: number;
}

/** Slots: others decode in the first and the last. */
export const SLOTS = 6;
const NOISE_SLOTS = [0, SLOTS - 1] as const;
const FIRST = 1;
const BLOCKS = 64;

/** What is kept of a context while it is in no slot. */
interface Kept {
  readonly tokens: readonly number[];
  /** By page. */
  readonly frames: readonly number[];
  readonly blocks: readonly number[];
}

export class PagedTeller {
  readonly #model: Model;
  readonly #bench: Bench;
  readonly #swap: SwapFile;
  readonly #dice: Dice;
  #told: Told = { tokens: [], logits: [] };
  #bursts = 0n;
  #listening = 0n;
  #noise: Row[] = [];

  private constructor(model: Model, swap: SwapFile, dice: Dice) {
    this.#model = model;
    this.#swap = swap;
    const witness = new Witness(model);
    this.#dice = dice;
    this.#bench = new Bench({ model: witness, swap }, ({ burst, slot, sampled }) => {
      if (burst !== this.#listening) return;
      this.#told.tokens.push(...sampled);
      if (sampled.length > 0) this.#told.logits.push(witness.last[slot] ?? 0);
    });
  }

  /** With a swap file in `dir`. */
  static async open(model: Model, dir: string, dice: Dice): Promise<PagedTeller> {
    const { pages } = model;
    const size = BLOCKS * (pages.bytes + 2 ** 13);
    const swap = await SwapFile.open(join(dir, "pages.swap"), size, pages);
    return new PagedTeller(model, swap, dice);
  }

  async close(): Promise<void> {
    await this.#bench.stop();
    await this.#swap.close();
  }

  /** The story alone, in one piece. */
  async alone(story: PagedStory): Promise<Told> {
    this.#noise = [];
    await this.#begin(story, FIRST, story.answer);
    return this.#told;
  }

  /** The story with its context taken away once, and brought back to another slot. */
  async paged(story: PagedStory): Promise<Told> {
    const dice = this.#dice;
    await this.#beginNoise();
    const [from = 1, to = 2] = dice.shuffled([1, 2, 3, 4]);
    await this.#begin(story, from, dice.int(1, story.answer - 1));
    const context = [...story.given, ...this.#told.tokens.slice(0, -1)];
    const kept = await this.#keep(from, context);
    // Whatever the slots held is overwritten.
    for (const slot of [from, to]) if (dice.chance(0.7)) await this.#scribble(slot);
    const goOn = dice.chance(0.6);
    await this.#bring(kept, to, goOn ? context.length : dice.int(2, story.given.length - 2), story);
    return this.#told;
  }

  /** Tells the story's first `count` generated tokens. */
  async #begin(story: PagedStory, slot: number, count: number): Promise<void> {
    this.#listening = ++this.#bursts;
    this.#told = { tokens: [], logits: [] };
    const { given } = story;
    await this.#run({
      steps: count,
      binds: [bind(slot, 0, { burst: this.#burst(story) })],
      chunks: [{ burst: this.#listening, slot, start: 0, tokens: [...given], sample: true }],
    });
  }

  /** Saves a slot's pages, its tail too, and writes some of the full ones. */
  async #keep(slot: number, tokens: readonly number[]): Promise<Kept> {
    const dice = this.#dice;
    const pages = Math.ceil(tokens.length / PAGE_TOKENS);
    const all = Array.from({ length: this.#model.pages.frames }, (_, frame) => frame);
    const first = dice.int(0, all.length - pages);
    const frames = dice.chance(0.5) ? all.slice(first, first + pages) : dice.shuffled(all);
    const blocks = dice.shuffled(Array.from({ length: BLOCKS }, (_, block) => block));
    const saves = Array.from({ length: pages }, (_, page): PageSave => {
      const start = page * PAGE_TOKENS;
      const count = Math.min(PAGE_TOKENS, tokens.length - start);
      return { slot, start, count, frame: frames[page] ?? 0 };
    });
    const writes = saves
      .filter(({ count }) => count === PAGE_TOKENS)
      .map(({ frame }, page): PageWrite => ({ frame, block: blocks[page] ?? 0, name: name(page) }));
    await this.#moved(writes.length, { saves, writes });
    return { tokens, frames, blocks };
  }

  /** Brings the first `length` tokens back, and goes on to the end. */
  async #bring(kept: Kept, slot: number, length: number, story: PagedStory): Promise<void> {
    const { given, answer } = story;
    const full = Math.floor(length / PAGE_TOKENS);
    const read = this.#dice.int(0, full);
    await this.#run({ binds: [bind(slot, 0)] });
    await this.#moved(read, { reads: reads(kept, slot, read), steps: this.#dice.int(1, 4) });
    const binding = { burst: this.#burst(story), loads: loads(kept, read, length) };
    const binds = [bind(slot, read * PAGE_TOKENS, binding)];
    const id = this.#listening;
    if (length < given.length) {
      // A prefix was hit: the rest is computed, and the answer from its beginning.
      this.#told = { tokens: [], logits: [] };
      const chunk = { burst: id, slot, start: length, tokens: given.slice(length), sample: true };
      await this.#run({ steps: answer, binds, chunks: [chunk] });
      return;
    }
    const done = this.#told.tokens.length;
    const forced = this.#told.tokens.slice(-1);
    const row = { burst: id, slot, forcedStart: length, forced, sample: true };
    await this.#run({ steps: answer - done, binds, rows: [row] });
  }

  async #beginNoise(): Promise<void> {
    this.#noise = [];
    for (const slot of NOISE_SLOTS) {
      const id = ++this.#bursts;
      await this.#scribble(slot, id);
      this.#noise.push({ burst: id, slot, forcedStart: 0, forced: [], sample: true });
    }
  }

  /** Other tokens in a slot. */
  async #scribble(slot: number, id = ++this.#bursts): Promise<void> {
    const { vocab } = this.#model.info;
    const tokens = Array.from({ length: this.#dice.int(2, 40) }, () =>
      this.#dice.int(0, vocab - 1),
    );
    await this.#run({
      binds: [bind(slot, 0, { burst: burst({ id, genStart: tokens.length, maxTokens: 1000 }) })],
      chunks: [{ burst: id, slot, start: 0, tokens, sample: true }],
    });
  }

  /** Runs a plan, and waits for its reads and writes, which must go well. */
  async #moved(count: number, plan: Partial<Plan>): Promise<void> {
    this.#bench.pages.length = 0;
    await this.#run(plan);
    for (const { error } of await this.#bench.untilPages(count)) {
      if (error !== "") throw new Error(`a page was not moved: ${error}`);
    }
  }

  #run(plan: Partial<Plan>): Promise<void> {
    const bound = new Set(plan.binds?.map(({ slot }) => slot));
    const noise = this.#noise.filter(({ slot }) => !bound.has(slot));
    return this.#bench.run({ ...plan, rows: [...(plan.rows ?? []), ...noise] });
  }

  #burst({ given, seed, answer }: PagedStory) {
    const { length } = given;
    const params = { temperature: 0.9, presencePenalty: 0.5, repetitionPenalty: 1.1 };
    const id = this.#listening;
    return burst({ id, seed, genStart: length, maxTokens: answer, ...params });
  }
}

function reads({ tokens, blocks }: Kept, slot: number, count: number): PageRead[] {
  return Array.from({ length: count }, (_, page) => ({
    slot,
    start: page * PAGE_TOKENS,
    block: blocks[page] ?? 0,
    name: name(page),
    tokens: pageTokens(tokens, page, tokens.length),
  }));
}

/** From page `first` on, up to `length` tokens. */
function loads({ tokens, frames }: Kept, first: number, length: number): PageLoad[] {
  return Array.from({ length: Math.ceil(length / PAGE_TOKENS) - first }, (_, i) => ({
    frame: frames[first + i] ?? 0,
    tokens: pageTokens(tokens, first + i, length),
  }));
}

function pageTokens(tokens: readonly number[], page: number, end: number): number[] {
  return tokens.slice(page * PAGE_TOKENS, Math.min((page + 1) * PAGE_TOKENS, end));
}

/** A name for the test's purpose. */
function name(page: number): Buffer {
  return Buffer.alloc(32, page + 1);
}
