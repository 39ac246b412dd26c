/** Random work for a daemon: calls that come, differ, are cancelled, and end, all from one seed. */
import { setTimeout as sleep } from "node:timers/promises";
import { type GenerateOptions, type Os, SyscallError } from "../../syscalls/index.js";
import { random } from "../harness/random.js";

/** A call that was made, and what came back. */
export interface Answer {
  readonly prompt: string;
  readonly options: GenerateOptions;
  /** All tokens, or undefined of a call that was cancelled. */
  readonly tokens: readonly number[] | undefined;
  /** The whole text, or what had come before the cancel. */
  readonly text: string;
}

export interface Counts {
  answered: number;
  cancelled: number;
  refused: number;
  tokens: number;
}

export interface WorkOptions {
  readonly words: readonly string[];
  readonly seed: number;
  /** Calls at one moment, at most. */
  readonly callers: number;
  readonly until: number;
  /** Hears every answer. */
  onAnswer(answer: Answer): void;
}

const LONGEST_PROMPT = 120;
const LONGEST_ANSWER = 60;
const CANCELLED = 0.25;
const LONGEST_WAIT_MS = 400;

/** The queue is full; the prompt is longer than the window. */
const REFUSALS: ReadonlySet<string> = new Set(["EAGAIN", "ENOMEM"]);

/** Works until `until` (performance.now()); every caller is a loop of its own. */
export async function work(os: Os, options: WorkOptions): Promise<Counts> {
  const counts: Counts = { answered: 0, cancelled: 0, refused: 0, tokens: 0 };
  const callers = Array.from({ length: options.callers }, (_, i) =>
    caller(os, options, random(options.seed * 1000 + i), counts),
  );
  await Promise.all(callers);
  return counts;
}

async function caller(
  os: Os,
  { words, until, onAnswer }: WorkOptions,
  next: () => number,
  counts: Counts,
): Promise<void> {
  while (performance.now() < until) {
    await sleep(next() * LONGEST_WAIT_MS);
    const { prompt, options } = call(words, next);
    const cancelMs = next() < CANCELLED ? next() * LONGEST_WAIT_MS : undefined;
    // Half of the calls take their text as it comes.
    const answer = await ask(os, prompt, options, next() < 0.5, cancelMs);
    if (answer === "refused") counts.refused += 1;
    else {
      counts[answer.tokens === undefined ? "cancelled" : "answered"] += 1;
      counts.tokens += answer.tokens?.length ?? 0;
      onAnswer(answer);
    }
  }
}

function call(words: readonly string[], next: () => number) {
  const upTo = (most: number): number => 1 + Math.floor(next() * most);
  const length = upTo(LONGEST_PROMPT);
  const start = Math.floor(next() * (words.length - length));
  const options: GenerateOptions = {
    maxTokens: upTo(LONGEST_ANSWER),
    seed: Math.floor(next() * 2 ** 32),
    ...sampling(next),
    ...(next() < 0.3 && { stop: [" the", ". "] }),
    ignoreEos: next() < 0.5,
  };
  return { prompt: words.slice(start, start + length).join(" "), options };
}

function sampling(next: () => number): GenerateOptions {
  const kind = Math.floor(next() * 4);
  if (kind === 0) return { temperature: 0 };
  if (kind === 1) return { temperature: 0.8, topK: 40, topP: 0.95 };
  if (kind === 2) return { temperature: 1.2, minP: 0.02, repetitionPenalty: 1.2 };
  return { temperature: 1, topP: 0.9, presencePenalty: 0.5 };
}

async function ask(
  os: Os,
  prompt: string,
  options: GenerateOptions,
  stream: boolean,
  cancelMs: number | undefined,
): Promise<Answer | "refused"> {
  const cancel = new AbortController();
  const timer = cancelMs === undefined ? undefined : setTimeout(() => cancel.abort(), cancelMs);
  let text = "";
  try {
    const generation = os.llm.generate(prompt, { ...options, signal: cancel.signal });
    if (stream) for await (const part of generation) text += part;
    const result = await generation;
    return { prompt, options, tokens: result.tokens, text: result.text };
  } catch (error) {
    if (cancel.signal.aborted) return { prompt, options, tokens: undefined, text };
    if (error instanceof SyscallError && REFUSALS.has(error.code)) return "refused";
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
