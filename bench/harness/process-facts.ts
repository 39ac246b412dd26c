/** What the operating system says of processes of ours (Linux). */
import { readdir, readFile } from "node:fs/promises";

export interface ProcessFacts {
  /** Resident memory that is the process's own (no mapped files, which the weights are), MiB. */
  readonly memoryMiB: number;
  /** Open file descriptors. */
  readonly descriptors: number;
  readonly threads: number;
}

/** @returns undefined when it is gone */
export async function factsOf(pid: number): Promise<ProcessFacts | undefined> {
  try {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    const field = (name: string): number =>
      Number(status.match(new RegExp(`^${name}:\\s+(\\d+)`, "m"))?.[1]);
    const descriptors = (await readdir(`/proc/${pid}/fd`)).length;
    return { memoryMiB: field("RssAnon") / 1024, descriptors, threads: field("Threads") };
  } catch {
    return undefined;
  }
}

/** The children of `pid` that run an LLM driver. */
export async function driversOf(pid: number): Promise<number[]> {
  const path = `/proc/${pid}/task/${pid}/children`;
  const children = (await readFile(path, "utf8").catch(() => "")).split(" ").filter(Boolean);
  const drivers: number[] = [];
  for (const child of children.map(Number)) {
    const line = await readFile(`/proc/${child}/cmdline`, "utf8").catch(() => "");
    if (line.includes("servers/llm/")) drivers.push(child);
  }
  return drivers;
}
