/**
 * Tells a caller how far a long prefill is: a few times a second, from the slot's own
 * figure, until the first token comes. A prefill that takes no time is not told of.
 */
import type { Clock } from "../clock.js";

const EVERY_US = 250_000;

/**
 * @param tokens in the slot by now, of the `of` that stand before the first generated one
 * @returns stops it
 */
export function watchPrefill(
  clock: Clock,
  of: number,
  tokens: () => number,
  tell: (tokens: number, of: number) => void,
): Disposable {
  let told = -1;
  let cancel = clock.after(EVERY_US, look);
  function look(): void {
    cancel = clock.after(EVERY_US, look);
    const now = Math.min(tokens(), of);
    if (now === told || now >= of) return;
    told = now;
    tell(now, of);
  }
  return { [Symbol.dispose]: () => cancel() };
}
