/** A line on stderr that says how far the reading of a long prompt is. On a terminal only. */
import { count } from "./format.js";

/** Clears the line and goes to its start. */
const CLEAR = "\r\u001b[K";

export interface PrefillLine extends Disposable {
  /** Whether anybody sees it. */
  readonly live: boolean;
  /** So many of `of` tokens are read. */
  show(tokens: number, of: number): void;
  /** The first text is there, or nothing more will come. */
  clear(): void;
}

/** @param stream where it is drawn, if that is a terminal; stderr, so that output stays clean */
export function prefillLine(stream: NodeJS.WriteStream = process.stderr): PrefillLine {
  const live = stream.isTTY === true && process.env.TERM !== "dumb";
  let shown = false;
  const clear = (): void => {
    if (shown) stream.write(CLEAR);
    shown = false;
  };
  return {
    live,
    show(tokens, of) {
      if (!live) return;
      stream.write(`${CLEAR}${progressText(tokens, of)}`);
      shown = true;
    },
    clear,
    [Symbol.dispose]: clear,
  };
}

/** `reading 512 of 2,048 tokens (25 %)` */
export function progressText(tokens: number, of: number): string {
  return `reading ${count(tokens)} of ${count(of)} tokens (${Math.floor((tokens * 100) / of)} %)`;
}
