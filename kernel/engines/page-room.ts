/**
 * The room that a driver is given for pages: RAM, and a swap file in the home. A swap file
 * is worth nothing to the next daemon, which knows none of its pages, so each begins
 * without one, and takes its own away in the end.
 */
import { hash } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ContixError } from "../../proto/errno.js";
import type { Open } from "../../proto/gen/contix/driver/v1/llm.js";
import type { Config } from "../config.js";
import { memoryBytes } from "../units.js";

/** Characters of a model's name in that of its swap file. */
const SHOWN = 64;

type Room = Pick<Config, "home" | "swap">;

/** What a model's driver is told of it. `pageMemory` in bytes. */
export function pageRoom(
  { home, swap }: Room,
  model: string,
  pageMemory: number,
): Pick<Open, "pageMemory" | "swap" | "swapSize"> {
  const size = BigInt(memoryBytes(swap, 0));
  return {
    pageMemory: BigInt(pageMemory),
    swap: size === 0n ? "" : join(home, "swap", swapName(model)),
    swapSize: size,
  };
}

/** A file of its own for each model, whatever of its name a file can be called. */
function swapName(model: string): string {
  const shown = model.replace(/[^\w.@-]/g, "_").slice(0, SHOWN);
  return `${shown}-${hash("sha256", model).slice(0, 16)}.swap`;
}

/** Makes an empty directory for swap files, when they are wanted. EIO. */
export function makeSwapDirectory({ home, swap }: Room): void {
  const directory = join(home, "swap");
  try {
    rmSync(directory, { recursive: true, force: true });
    if (memoryBytes(swap, 0) > 0) mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    const what = `cannot make ${directory} anew: ${(error as Error).message}`;
    throw new ContixError("EIO", `${what}; repair that, or set swap to 0`);
  }
}

/** Takes the swap files away. That it can not is no reason for an end in disorder. */
export function removeSwapDirectory({ home }: Room): void {
  try {
    rmSync(join(home, "swap"), { recursive: true, force: true });
  } catch {
    // The next daemon says why.
  }
}
