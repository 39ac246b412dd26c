/** The texts that are evaluated on. The one that recipes are calibrated and chosen on can not be had here. */
import { readFile } from "node:fs/promises";
import { inCheckout } from "./root.js";

export const EVALUATION_TEXTS = ["tom-sawyer", "opticks"] as const;
export type EvaluationText = (typeof EVALUATION_TEXTS)[number];

/** A text of bench/texts. */
export function evaluationText(name: EvaluationText): Promise<string> {
  return readFile(inCheckout("bench", "texts", `${name}.txt`), "utf8");
}

/**
 * `count` windows of `length` tokens that do not overlap, the first at a seeded offset: the
 * same prompts for the same seed.
 * @throws RangeError when the text is too short for them
 */
export function windows(
  tokens: readonly number[],
  count: number,
  length: number,
  seed: number,
): number[][] {
  const spare = tokens.length - count * length;
  if (spare < 0) {
    throw new RangeError(`${count} windows of ${length} need more than ${tokens.length} tokens`);
  }
  const offset = Math.floor(fraction(seed) * (spare + 1));
  return Array.from({ length: count }, (_, i) =>
    tokens.slice(offset + i * length, offset + (i + 1) * length),
  );
}

/** A seed's fraction in [0, 1): the finalizer of MurmurHash3 over its low 32 bits. */
function fraction(seed: number): number {
  let x = seed | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

/**
 * `count` passages of `words` words each, one after the other from a seeded place, as prompts.
 * @throws RangeError when the text is too short for them
 */
export function passages(text: string, count: number, words: number, seed: number): string[] {
  const all = text.split(/\s+/).filter((word) => word !== "");
  const spare = all.length - count * words;
  if (spare < 0) {
    throw new RangeError(`${count} passages of ${words} need more than ${all.length} words`);
  }
  const offset = Math.floor(fraction(seed) * (spare + 1));
  return Array.from({ length: count }, (_, i) =>
    all.slice(offset + i * words, offset + (i + 1) * words).join(" "),
  );
}
