/** What the kernel's side of a driver is told, what it says of itself, and what must stay. */
import type { Open, Ready } from "../../proto/gen/contix/driver/v1/llm.js";
import type { DeathLimits } from "./deaths.js";

export interface DriverOptions extends DeathLimits {
  /** Whose driver it is, for messages. */
  readonly model: string;
  /** The command line that starts the driver. */
  readonly command: readonly string[];
  readonly open: Open;
  /** A step that takes longer than this means the driver hangs; it is killed. */
  readonly hangUs: number;
  /** So long may it take to become ready. */
  readonly openUs: number;
}

/** starting: its process loads, or died and is started again. failed: it is given up for now. */
export type DriverState = "stopped" | "starting" | "running" | "failed";

/** Whether contexts may go on under `b` as they were under `a` (law 2). */
export function sameEngine(a: Ready, b: Ready): boolean {
  return (
    a.engineDigest === b.engineDigest &&
    a.slots === b.slots &&
    a.slotTokens === b.slotTokens &&
    a.vocab === b.vocab &&
    a.oneWay === b.oneWay
  );
}
