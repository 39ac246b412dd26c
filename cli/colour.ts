/**
 * Colours, for a terminal only: never into a pipe or a file, whatever CI says, and never with
 * NO_COLOR. FORCE_COLOR is for recording a screen.
 */
import type { WriteStream } from "node:tty";
import pc from "picocolors";

type Stream = Pick<WriteStream, "isTTY">;

/** Whether colours go to `stream`. */
export function wantsColour(stream: Stream, env: NodeJS.ProcessEnv): boolean {
  if ((env.NO_COLOR ?? "") !== "") return false;
  if ((env.FORCE_COLOR ?? "") !== "" && env.FORCE_COLOR !== "0") return true;
  return stream.isTTY === true && env.TERM !== "dumb";
}

/** Colours of what is written to stdout. */
export const out = pc.createColors(wantsColour(process.stdout, process.env));

/** Colours of what is written to stderr. */
export const err = pc.createColors(wantsColour(process.stderr, process.env));

export type Colours = typeof out;
