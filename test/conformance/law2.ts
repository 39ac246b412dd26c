/**
 * Law 2, "a schedule never changes an answer", as a test for any model: the same stories
 * alone, one after the other, and under a kernel that schedules by dice.
 */
import { expect } from "vitest";
import { Executor } from "../../servers/llm/engine/executor.js";
import type { DecodeRow, Model, ModelInfo } from "../../servers/llm/engine/model.js";
import { OnnxModel, type OnnxModelOptions } from "../../servers/llm/engine/onnx-model.js";
import type { Pages } from "../../servers/llm/engine/pages.js";
import { type Detokenizer, openTextServer } from "../../servers/llm/text/server.js";
import { RandomKernel } from "./law2-kernel.js";
import { type Answer, Dice, type Story, type Turn } from "./law2-story.js";

export interface Subject {
  readonly model: Model;
  detokenizer(): Detokenizer;
  /** Tokens guessed at most; default: none. */
  readonly lookup?: number;
}

export interface StoryOptions {
  readonly count: number;
  /** Given tokens are pieces of this. */
  readonly source: readonly number[];
  readonly stops: readonly string[];
  /** The longest prompt and generation, tokens. */
  readonly longestGiven: number;
  readonly longestAnswer: number;
}

/** Prompts of every length from one token on, some with a common beginning, some with several turns. */
export function stories(dice: Dice, options: StoryOptions): Story[] {
  const { count, source, longestGiven } = options;
  const beginning = source.slice(0, longestGiven);
  return Array.from({ length: count }, () => {
    const turns = dice.pick([1, 1, 1, 2, 3]);
    return {
      turns: Array.from({ length: turns }, (_, i) => {
        const common = i === 0 && dice.chance(0.4) ? beginning.slice(0, dice.int(1, 100)) : [];
        const length = dice.int(1, dice.pick([1, 2, 3, 20, longestGiven]));
        const at = dice.int(0, source.length - length);
        return turn(dice, [...common, ...source.slice(at, at + length)], options);
      }),
    };
  });
}

function turn(dice: Dice, given: readonly number[], options: StoryOptions): Turn {
  const greedy = dice.chance(0.4);
  const penalties = dice.chance(0.4);
  return {
    given,
    burst: {
      maxTokens: dice.int(1, options.longestAnswer),
      temperature: greedy ? 0 : 0.5 + dice.next(),
      topK: dice.pick([0, 0, 5, 40]),
      topP: dice.pick([1, 0.9]),
      minP: dice.pick([0, 0.05]),
      repetitionPenalty: penalties ? 1 + dice.next() / 3 : 1,
      presencePenalty: penalties ? dice.next() : 0,
      seed: BigInt(dice.int(0, 2 ** 31)),
      stop: dice.chance(0.3) ? [dice.pick(options.stops), dice.pick(options.stops)] : [],
      ignoreEos: dice.chance(0.3),
      logprobs: dice.chance(0.5) ? dice.int(0, 3) : undefined,
    },
  };
}

/** Each story by itself. */
export function alone(subject: Subject, stories: readonly Story[]): Promise<Answer[][]> {
  return answers(subject, stories, [], new Dice(0), true);
}

/** All stories together, in a schedule of dice. */
export function together(
  subject: Subject,
  stories: readonly Story[],
  noise: readonly Story[],
  dice: Dice,
): Promise<Answer[][]> {
  return answers(subject, stories, noise, dice, false);
}

async function answers(
  { model, detokenizer, lookup = 0 }: Subject,
  stories: readonly Story[],
  noise: readonly Story[],
  dice: Dice,
  calm: boolean,
): Promise<Answer[][]> {
  const witness = new Witness(model);
  const executor = new Executor({
    model: witness,
    detokenizer,
    lookup,
    nowUs: () => 0,
    report: (outcome) => {
      kernel.hear(outcome);
      if (kernel.done) executor.stop();
    },
  });
  const kernel = new RandomKernel({
    slots: model.info.slots,
    stories,
    noise,
    dice,
    calm,
    submit: (plan) => executor.submit(plan),
    logits: (slot, count) => (witness.last[slot] ?? []).slice(0, count),
  });
  kernel.start();
  await executor.run();
  return kernel.answers;
}

/**
 * A model that notes hashes of the bits of the last logits of each slot. Tokens may be the
 * same by luck where logits differ a little; these are not.
 */
export class Witness implements Model {
  readonly info: ModelInfo;
  readonly pages: Pages;
  readonly verify: Model["verify"];
  /** By slot: of each position of its last run that gave any. */
  readonly last: number[][] = [];
  readonly #model: Model;

  constructor(model: Model) {
    this.info = model.info;
    this.pages = model.pages;
    this.#model = model;
    const verify = model.verify?.bind(model);
    this.verify =
      verify &&
      (async (slot, start, tokens) => {
        const logits = await verify(slot, start, tokens);
        this.last[slot] = logits.map(hash);
        return logits;
      });
  }

  async prefill(slot: number, start: number, tokens: readonly number[], wantLogits: boolean) {
    const logits = await this.#model.prefill(slot, start, tokens, wantLogits);
    if (logits !== undefined) this.last[slot] = [hash(logits)];
    return logits;
  }

  async decode(rows: readonly DecodeRow[]) {
    const logits = await this.#model.decode(rows);
    const wanting = rows.filter((row) => row.wantLogits);
    wanting.forEach(({ slot }, i) => {
      const row = logits[i];
      if (row !== undefined) this.last[slot] = [hash(row)];
    });
    return logits;
  }

  copy(from: number, to: number, tokens: number) {
    return this.#model.copy(from, to, tokens);
  }

  close() {
    return this.#model.close();
  }
}

/** FNV-1a over words. */
export function hash(logits: Float32Array): number {
  const words = new Uint32Array(logits.buffer, logits.byteOffset, logits.length);
  let h = 0x811c9dc5;
  for (const word of words) h = Math.imul(h ^ word, 0x01000193);
  return h >>> 0;
}

/** Expects the same bytes; names the first story that differs and the seed that shows it again. */
export function expectSame(
  seed: number,
  stories: readonly Story[],
  want: readonly Answer[][],
  got: readonly Answer[][],
): void {
  stories.forEach(({ turns }, i) => {
    turns.forEach((turn, j) => {
      const where = `seed ${seed}, story ${i}, turn ${j}, ${turn.given.length} given tokens`;
      expect(got[i]?.[j], where).toEqual(want[i]?.[j]);
    });
  });
}

/** What LAW2_SEED asks for again, or another each time. */
export function lawSeed(): number {
  return Number(process.env.LAW2_SEED ?? Math.floor(Math.random() * 2 ** 31));
}

export interface Proof extends Omit<StoryOptions, "count" | "source"> {
  readonly seed: number;
  /** A text or tokens, pieces of which are the prompts. */
  readonly source: string | readonly number[];
  readonly slotTokens: number;
  /** Default: as a graph of our own. */
  readonly open?: (dir: string, options: OnnxModelOptions) => Promise<Model>;
}

/**
 * The whole law on the compiled model in `dir`: 64 stories alone, then together under
 * schedules of dice with others that are cancelled, by one thread and by two.
 */
export async function proveLaw2(
  dir: string,
  { seed, slotTokens, open = OnnxModel.open, ...proof }: Proof,
): Promise<void> {
  const text = await openTextServer(dir);
  const detokenizer = () => text.detokenizer();
  const withModel = async <T>(threads: number, use: (subject: Subject) => Promise<T>) => {
    const model = await open(dir, { slots: 16, slotTokens, threads });
    try {
      return await use({ model, detokenizer });
    } finally {
      await model.close();
    }
  };
  try {
    const dice = new Dice(seed);
    const source =
      typeof proof.source === "string"
        ? await text.encode(proof.source, { special: false, start: true })
        : proof.source;
    const told = stories(dice, { ...proof, source, count: 64 });
    const noise = stories(dice, { ...proof, source, count: 16 });
    const want = await withModel(2, (subject) => alone(subject, told));
    expect(want.flat().some(({ tokens }) => tokens.length > 1)).toBe(true);
    for (const threads of [1, 2]) {
      const got = await withModel(threads, (subject) => together(subject, told, noise, dice));
      expectSame(seed, told, want, got);
    }
  } finally {
    await text.close();
  }
}
