/** Processor time of processes of ours (Linux). */
import { readFile } from "node:fs/promises";

/** What Linux counts processor time in, whatever the kernel's own clock does. */
const TICKS_A_SECOND = 100;

/** User and system time that a process has spent, microseconds. */
export async function cpuUsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name, in parentheses, may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND) * 1e6;
}

/** The same of this process. */
export function ownCpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
