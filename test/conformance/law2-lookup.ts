/**
 * Guessing from the context, as a part of law 2: the same stories without guesses, and with
 * them alone and in schedules of dice, give the same tokens from the same logits.
 */
import { expect } from "vitest";
import type { Model } from "../../servers/llm/engine/model.js";
import { OnnxModel } from "../../servers/llm/engine/onnx-model.js";
import { openTextServer } from "../../servers/llm/text/server.js";
import {
  alone,
  expectSame,
  hash,
  type StoryOptions,
  type Subject,
  stories,
  together,
} from "./law2.js";
import { Dice, type Story } from "./law2-story.js";

/** Given of the story that repeats a text, tokens: more than one time through it. */
const REPEATING = 150;

export interface LookupProof extends Omit<StoryOptions, "source"> {
  readonly seed: number;
  /** A text or tokens, pieces of which are the prompts. */
  readonly source: string | readonly number[];
  readonly slotTokens: number;
  /** Tokens guessed at most. */
  readonly lookup: number;
}

/** Runs that checked guesses, the guesses in them, and how many of those were right. */
export class Tally {
  runs = 0;
  guessed = 0;
  right = 0;

  /** Counts what goes through `model`; what was right shows in where the next token enters. */
  of(model: Model): Model {
    const verify = model.verify?.bind(model);
    if (verify === undefined) throw new Error("the model can not check guesses");
    const ends = new Map<number, { start: number; guesses: number }>();
    const enters = (slot: number, start: number): void => {
      const run = ends.get(slot);
      ends.delete(slot);
      if (run !== undefined && start > run.start)
        this.right += Math.min(start - run.start - 1, run.guesses);
    };
    return {
      info: model.info,
      pages: model.pages,
      prefill: (slot, start, ...rest) => {
        enters(slot, start);
        return model.prefill(slot, start, ...rest);
      },
      decode: (rows) => {
        for (const { slot, position } of rows) enters(slot, position);
        return model.decode(rows);
      },
      verify: (slot, start, tokens) => {
        enters(slot, start);
        this.runs++;
        this.guessed += tokens.length - 1;
        ends.set(slot, { start, guesses: tokens.length - 1 });
        return verify(slot, start, tokens);
      },
      copy: (...args) => model.copy(...args),
      close: () => model.close(),
    };
  }
}

/** The compiled model in `dir`, whose KV is int8. Resolves with what was guessed by stories alone; one of them repeats the source. */
export async function proveLookup(dir: string, proof: LookupProof): Promise<Tally> {
  const { seed, slotTokens, lookup, source, ...shape } = proof;
  const text = await openTextServer(dir);
  const detokenizer = () => text.detokenizer();
  const tally = new Tally();
  const withModel = async <T>(threads: number, use: (subject: Subject) => Promise<T>) => {
    const model = await OnnxModel.open(dir, { slots: 4, slotTokens, threads, lookup });
    try {
      return await use({ model, detokenizer });
    } finally {
      await model.close();
    }
  };
  try {
    const dice = new Dice(seed);
    const tokens =
      typeof source === "string"
        ? await text.encode(source, { special: false, start: true })
        : source;
    const told = [...stories(dice, { ...shape, source: tokens }), repeating(tokens, shape)];
    const noise = stories(dice, { ...shape, source: tokens, count: Math.ceil(shape.count / 4) });
    const want = await withModel(2, (subject) => alone(subject, told));
    for (const threads of [1, 2]) {
      await withModel(threads, async ({ model }) => {
        const counted = threads === 1 ? model : tally.of(model);
        const got = await alone({ model: counted, detokenizer, lookup }, told);
        expectSame(seed, told, want, got);
        const mixed = await together({ model, detokenizer, lookup }, told, noise, dice);
        expectSame(seed, told, want, mixed);
      });
    }
  } finally {
    await text.close();
  }
  return tally;
}

/** A story that has something to guess whatever the dice say: it goes on, greedily, with what it has read before. */
function repeating(
  tokens: readonly number[],
  { longestAnswer }: Pick<StoryOptions, "longestAnswer">,
): Story {
  const burst = {
    ...{ maxTokens: longestAnswer, temperature: 0, topK: 0, topP: 1, minP: 0 },
    ...{ repetitionPenalty: 1, presencePenalty: 0, seed: 0n, stop: [], ignoreEos: true },
    logprobs: undefined,
  };
  return { turns: [{ given: tokens.slice(0, REPEATING), burst }] };
}

/** Enters tokens one by one, then the same in runs with wrong guesses behind, and compares the logits. */
export async function proveRuns(model: Model, dice: Dice): Promise<void> {
  const { slotTokens, vocab } = model.info;
  const token = () => dice.int(0, vocab - 1);
  const prompt = Array.from({ length: dice.int(2, Math.floor(slotTokens / 2)) }, token);
  const tokens = Array.from({ length: slotTokens - prompt.length }, token);
  for (const slot of [0, 1]) await model.prefill(slot, 0, prompt, false);
  const want: number[] = [];
  for (const [i, token] of tokens.entries()) {
    const row = { slot: 0, position: prompt.length + i, token, wantLogits: true };
    const [logits] = await model.decode([row]);
    if (logits !== undefined) want.push(hash(logits));
  }
  for (let at = 0; at + 1 < tokens.length; ) {
    const right = Math.min(dice.int(1, 6), tokens.length - at);
    const wrong = Math.min(dice.int(right === 1 ? 1 : 0, 3), tokens.length - at - right);
    const run = [...tokens.slice(at, at + right), ...Array.from({ length: wrong }, token)];
    if (run.length < 2) return;
    const rows = (await model.verify?.(1, prompt.length + at, run)) ?? [];
    const where = `${run.length} tokens at ${prompt.length + at}`;
    expect(rows.slice(0, right).map(hash), where).toEqual(want.slice(at, at + right));
    at += right;
  }
}
