/**
 * The home directory of a daemon as the command line sees it: where it is, which daemon runs on
 * it, and whether that process is really a contixd.
 */
import { readFileSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import { z } from "zod";

/** `contixd.json`: written when the daemon is ready, removed when it ends. */
const DaemonRecord = z.object({
  pid: z.number().int().positive(),
  address: z.string().min(1),
  /** That one, and each further one: over TCP, over NATS. */
  addresses: z.array(z.string()).optional(),
  /** Where its gateway listens, when it has one. */
  http: z.string().optional(),
  version: z.string(),
  startedAt: z.string(),
});
export type DaemonRecord = z.infer<typeof DaemonRecord>;

/** The home of `--home`, else `CONTIX_HOME`, else `~/.contix`. */
export function homeDirectory(flag?: string, env: NodeJS.ProcessEnv = process.env): string {
  const chosen = flag || env.CONTIX_HOME;
  return chosen ? resolve(chosen) : join(homedir(), ".contix");
}

/** The file that the daemon's output goes to. */
export function daemonLog(home: string): string {
  return join(home, "logs", "contixd.log");
}

/** The file that the output of a spawned agent goes to. */
export function agentLog(home: string, pid: string): string {
  return join(home, "logs", `${pid}.log`);
}

/** The running daemon of a home. A record that a killed daemon left behind counts as none. */
export async function runningDaemon(home: string): Promise<DaemonRecord | undefined> {
  const record = await readRecord(home);
  return record !== undefined && isContixd(record.pid) ? record : undefined;
}

/** What `contixd.json` says, whether or not that process still lives. */
export async function readRecord(home: string): Promise<DaemonRecord | undefined> {
  try {
    const parsed = DaemonRecord.safeParse(
      JSON.parse(await readFile(join(home, "contixd.json"), "utf8")),
    );
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a process lives. One that has ended and was not yet reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return processState(pid) !== "Z";
}

/**
 * Whether `pid` is a contixd of this user. Operating systems use process ids again, so a record
 * from before a crash may name a stranger, who must not get our signals. Where there is no /proc
 * only "alive and ours to signal" can be checked.
 */
export function isContixd(pid: number): boolean {
  if (!isAlive(pid)) return false;
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const program = words.some((word) => /^contixd(\.[jt]s)?$/.test(basename(word)));
    return program && statSync(`/proc/${pid}`).uid === process.getuid?.();
  } catch {
    return process.platform !== "linux";
  }
}

function processState(pid: number): string {
  try {
    // The command's name stands in parentheses and may hold anything, so read after the last one.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  } catch {
    return "";
  }
}
