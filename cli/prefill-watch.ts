/** How far a process's prefill is, while somebody looks at a terminal: asked for a few times a second. */
import type { Pid, SlotInfo } from "../syscalls/index.js";
import type { PrefillLine } from "./prefill-line.js";
import { pause } from "./terminal.js";

/** A prefill that is over sooner is not told of. */
const EVERY_MS = 400;

export interface PrefillWatch {
  readonly pid: Pid;
  readonly line: PrefillLine;
  /** All slots as they are. Where that can not be said any more, watching ends. */
  readonly slots: () => Promise<readonly SlotInfo[]>;
  readonly wait?: (signal: AbortSignal) => Promise<void>;
}

/** Draws the line while the process reads a prompt, until `over`. Never throws. */
export async function watchPrefill(watch: PrefillWatch, over: AbortSignal): Promise<void> {
  const { pid, line, slots, wait = (signal) => pause(EVERY_MS, signal) } = watch;
  try {
    for (await wait(over); !over.aborted; await wait(over)) {
      const reading = slowest(await slots(), pid);
      if (over.aborted) break;
      if (reading) line.show(reading.tokens, reading.of);
      else line.clear();
    }
  } catch {
    // The line is an extra: what is wrong with the daemon the command itself finds out.
  } finally {
    line.clear();
  }
}

/** Of the process's prefills the one that has most before it. */
function slowest(slots: readonly SlotInfo[], pid: Pid): SlotInfo | undefined {
  const left = ({ of, tokens }: SlotInfo): number => of - tokens;
  return slots
    .filter((slot) => slot.pid === pid && slot.phase === "prefill" && left(slot) > 0)
    .reduce<SlotInfo | undefined>((a, b) => (a && left(a) >= left(b) ? a : b), undefined);
}
