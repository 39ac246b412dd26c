/**
 * The logs of a daemon's agents. Those of agents that are over can still be read, but only
 * the newest: so many, and so many bytes. What an earlier daemon left in the directory is
 * counted with them.
 */
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../clock.js";
import { former, LogFile, removeLog } from "./log-file.js";

/** Logs of those that are over that are kept, and, in sizes of a full file, their bytes. */
const KEPT = 256;
const KEPT_SIZES = 64;
/** As start-program.ts names them; the daemon's own is beside them. */
const NAME = /^n\d+\.\d+\.log$/;

export class Logs {
  readonly #open = new Map<bigint, LogFile>();
  /** Bytes of the logs of those that are over, by path, the oldest first. */
  readonly #past = new Map<string, number>();
  #pastBytes = 0;
  readonly #most: number;
  readonly #clock: Clock;
  #looked = false;
  #removing: Promise<unknown> = Promise.resolve();

  constructor(most: number, clock: Clock) {
    this.#most = most;
    this.#clock = clock;
  }

  /** The log of a process; at its first start it is begun. */
  async begin(pid: bigint, path: string): Promise<LogFile> {
    const open = this.#open.get(pid);
    if (open) return open;
    const log = new LogFile(path, this.#most, this.#clock);
    this.#open.set(pid, log);
    if (!this.#looked) void this.#look(dirname(path));
    this.#forget(path);
    // Of an earlier daemon's that had this name.
    await this.#removing;
    await log.begin();
    return log;
  }

  of(pid: bigint): LogFile | undefined {
    return this.#open.get(pid);
  }

  /** The process is over. */
  close(pid: bigint): void {
    const log = this.#open.get(pid);
    if (!log) return;
    this.#open.delete(pid);
    const keep = (): void => this.#keep(log.path, log.bytes);
    void log.close().then(keep, keep);
  }

  #keep(path: string, bytes: number): void {
    this.#past.set(path, bytes);
    this.#pastBytes += bytes;
    const most = KEPT_SIZES * this.#most;
    for (const [oldest] of this.#past) {
      if (this.#past.size <= KEPT && this.#pastBytes <= most) return;
      this.#forget(oldest);
      // What the disk does not give back now is looked at again by the next daemon.
      this.#removing = Promise.allSettled([this.#removing, removeLog(oldest)]);
    }
  }

  #forget(path: string): void {
    this.#pastBytes -= this.#past.get(path) ?? 0;
    this.#past.delete(path);
  }

  /** Counts what an earlier daemon left. */
  async #look(directory: string): Promise<void> {
    this.#looked = true;
    const names = await readdir(directory).catch(() => []);
    const paths = names.filter((name) => NAME.test(name)).map((name) => join(directory, name));
    const found = await Promise.all(paths.map(lookAt));
    for (const { path, bytes } of found.sort((a, b) => a.at - b.at)) {
      const ours = [...this.#open.values()].some((log) => log.path === path);
      if (!ours && !this.#past.has(path)) this.#keep(path, bytes);
    }
  }
}

async function lookAt(path: string): Promise<{ path: string; at: number; bytes: number }> {
  const both = await Promise.all([path, former(path)].map((at) => stat(at).catch(() => undefined)));
  const bytes = both.reduce((sum, file) => sum + (file?.size ?? 0), 0);
  return { path, at: both[0]?.mtimeMs ?? 0, bytes };
}
