/**
 * The choices of one answer, generated side by side: all of them, or none. A choice that
 * fails ends the others.
 */
import type { GenerateResult, Generation, Piece } from "../../syscalls/index.js";

/** Starts the generation of choice `index`; it ends when `signal` aborts. */
export type StartChoice = (index: number, signal: AbortSignal) => Generation;

/** Takes what comes; each resolves when there is room for more. */
export interface Taker {
  /** One that has text. */
  piece(index: number, piece: Piece): Promise<void>;
  end(index: number, result: GenerateResult): Promise<void>;
  /** Hears how long the next piece of a text took, milliseconds. */
  gap(ms: number): void;
}

/** All choices, whole. Rejects with the first failure once none of them runs any more. */
export function wholeChoices(
  count: number,
  start: StartChoice,
  signal: AbortSignal,
): Promise<GenerateResult[]> {
  return together(count, signal, async (index, until) => await start(index, until));
}

/** All choices, piece by piece as they come, each at the pace at which `taker` has room. */
export function streamedChoices(
  count: number,
  start: StartChoice,
  signal: AbortSignal,
  taker: Taker,
): Promise<GenerateResult[]> {
  return together(count, signal, async (index, until) => {
    const generation = start(index, until);
    let before = 0;
    for await (const piece of generation.pieces()) {
      if (piece.text === "") continue;
      const now = performance.now();
      if (before > 0) taker.gap(now - before);
      await taker.piece(index, piece);
      // A reader that is slow is no slow model: the time it took does not count.
      before = performance.now();
    }
    const result = await generation;
    await taker.end(index, result);
    return result;
  });
}

async function together(
  count: number,
  signal: AbortSignal,
  run: (index: number, until: AbortSignal) => Promise<GenerateResult>,
): Promise<GenerateResult[]> {
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  let failure: { readonly error: unknown } | undefined;
  const results = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      run(index, until).catch((error: unknown) => {
        failure ??= { error };
        stop.abort();
        return undefined;
      }),
    ),
  );
  if (failure !== undefined) throw failure.error;
  return results.filter((result) => result !== undefined);
}

/** What an answer cost, as OpenAI's API says it. Each prompt counts once, whatever `n`. */
export function usageOf(results: readonly GenerateResult[], perPrompt: number): object {
  const prompts = results.filter((_, index) => index % perPrompt === 0);
  const sum = (
    of: readonly GenerateResult[],
    what: "promptTokens" | "cachedTokens" | "generatedTokens",
  ) => of.reduce((total, { usage }) => total + usage[what], 0);
  const prompt = sum(prompts, "promptTokens");
  const completion = sum(results, "generatedTokens");
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: sum(prompts, "cachedTokens") },
  };
}

/** "eos" is their "stop" too. */
export function finishReason({ finish }: GenerateResult): "stop" | "length" {
  return finish === "length" ? "length" : "stop";
}
