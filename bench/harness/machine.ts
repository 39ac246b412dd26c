/** What a number was measured on: without it the number means nothing. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { z } from "zod";
import { kernelClass, runtimeVersion } from "../../servers/llm/models/digest.js";
import { inCheckout } from "./root.js";

export const Machine = z.object({
  cpu: z.string(),
  cores: z.number(),
  memoryGiB: z.number(),
  /** Architecture and the instruction sets that choose the engine's kernels. */
  kernels: z.string(),
  os: z.string(),
  node: z.string(),
  onnxruntime: z.string(),
  commit: z.string(),
  /** Uncommitted changes to tracked files. */
  dirty: z.boolean(),
});
export type Machine = z.infer<typeof Machine>;

/** How busy the machine was with other things. */
export const Load = z.object({
  /** Load averages over 1, 5 and 15 minutes. */
  atStart: z.string(),
  atEnd: z.string(),
  /** Cores that others' processes used, mean over the whole run. */
  foreignCores: z.number(),
});
export type Load = z.infer<typeof Load>;

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernels: kernelClass(),
    os: `${process.platform} ${release()}`,
    node: process.version,
    onnxruntime: runtimeVersion(),
    commit: git("rev-parse", "HEAD"),
    dirty: git("status", "--porcelain", "--untracked-files=no") !== "",
  };
}

function git(...args: string[]): string {
  try {
    return execFileSync("git", args, {
      cwd: inCheckout(),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}

/**
 * Watches the machine from now on. Call the result when every child has ended and been waited
 * for: only then are their CPU seconds known to be ours.
 */
export function watchLoad(): () => Load {
  const atStart = averages();
  const begun = { at: performance.now(), ...cpuSeconds() };
  return () => {
    const { busy, own } = cpuSeconds();
    const seconds = (performance.now() - begun.at) / 1000;
    const foreign = busy - begun.busy - (own - begun.own);
    return {
      atStart,
      atEnd: averages(),
      foreignCores: seconds > 0 ? Math.max(0, Math.round((foreign / seconds) * 100) / 100) : 0,
    };
  };
}

function averages(): string {
  return loadavg()
    .map((x) => x.toFixed(2))
    .join(" ");
}

/** Seconds that the machine was busy, and that we and our ended children were; 0 off Linux. */
function cpuSeconds(): { busy: number; own: number } {
  const stat = readProc("/proc/stat").match(/^cpu +(.*)$/m)?.[1] ?? "";
  const [user = 0, nice = 0, system = 0, , , irq = 0, soft = 0] = stat.split(" ").map(Number);
  return { busy: (user + nice + system + irq + soft) / TICKS, own: processSeconds("self", true) };
}

/** Clock ticks of /proc in a second; the same on every Linux that Node runs on. */
const TICKS = 100;

/**
 * CPU seconds of a process so far, all its threads; resolution 10 ms; 0 when it is gone.
 * @param children also those of its children that have ended and were waited for
 */
export function processSeconds(pid: number | "self", children = false): number {
  const stat = readProc(`/proc/${pid}/stat`);
  // The name stands in parentheses and may hold spaces: count fields after it.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
  return (user + system + (children ? childUser + childSystem : 0)) / TICKS;
}

function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
