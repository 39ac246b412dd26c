/**
 * The passes over a whole vocabulary. Nearly all of its tokens lie below what is looked
 * for, so a pass asks of each only whether it is above a bar, eight at a time in one
 * condition (less than half the cost of one at a time), and the bar rises with what
 * was found. What is not a number is above any bar, so each pass finds it.
 */
import { ContixError } from "../../../proto/errno.js";

/** The first id at or after `from` whose logit is above `bar` or not a number; `logits.length` when none is. */
export function nextAbove(logits: Float32Array, from: number, bar: number): number {
  const vocab = logits.length;
  let id = from;
  for (const last = vocab - 7; id < last; id += 8) {
    const none =
      (logits[id] ?? 0) <= bar &&
      (logits[id + 1] ?? 0) <= bar &&
      (logits[id + 2] ?? 0) <= bar &&
      (logits[id + 3] ?? 0) <= bar &&
      (logits[id + 4] ?? 0) <= bar &&
      (logits[id + 5] ?? 0) <= bar &&
      (logits[id + 6] ?? 0) <= bar &&
      (logits[id + 7] ?? 0) <= bar;
    if (!none) break;
  }
  while (id < vocab && (logits[id] ?? 0) <= bar) id++;
  return id;
}

/**
 * The id of the highest logit, the lowest among equals. Throws EIO when a logit is not a
 * number, or the highest is not finite.
 */
export function argmax(logits: Float32Array): number {
  let best = 0;
  let max = Number.NEGATIVE_INFINITY;
  for (let id = nextAbove(logits, 0, max); id < logits.length; id = nextAbove(logits, id, max)) {
    max = numberAt(logits, id);
    best = id;
  }
  checkGreatest(max);
  return best;
}

/**
 * Writes the ids whose logits are at most `reach` (0 or more) below the greatest, and some
 * others, to `ids`, ascending; returns how many. Throws as `argmax` does.
 */
export function idsNear(logits: Float32Array, reach: number, ids: Int32Array): number {
  let n = 0;
  let max = Number.NEGATIVE_INFINITY;
  let bar = max;
  for (
    let id = nextAbove(logits, 0, bar);
    id < logits.length;
    id = nextAbove(logits, id + 1, bar)
  ) {
    const logit = numberAt(logits, id);
    ids[n++] = id;
    if (logit <= max) continue;
    max = logit;
    bar = justBelow(max - reach);
  }
  checkGreatest(max);
  return n;
}

/** A little less than `floor`: what is equal to it must pass the bar. */
function justBelow(floor: number): number {
  return floor - Math.abs(floor) * 1e-9 - Number.MIN_VALUE;
}

/** The logit of `id`. Throws EIO when it is not a number. */
export function numberAt(logits: Float32Array, id: number): number {
  const logit = logits[id] ?? 0;
  if (!Number.isNaN(logit)) return logit;
  throw new ContixError("EIO", `the model's logit for token ${id} is not a number`);
}

/** Throws EIO when the greatest logit is not finite: then there is no distribution. */
export function checkGreatest(max: number): void {
  if (Number.isFinite(max)) return;
  throw new ContixError("EIO", `the model's greatest logit is ${max}; it must be finite`);
}
