/**
 * The writer of the audit log. A record costs its caller a push into a list; what it
 * takes to make a line of it, chain it, sign and write it, is done once for all that came
 * together (a group commit), a few lines at a time so that calls are answered between.
 *
 * What is acknowledged is written: the reply of a call that changes something waits until
 * its record is on disk (`sync`). When the log cannot be written, the disk being full or
 * broken, calls that change something are refused before they begin (`admit`), replies of
 * those that had begun wait, and the same lines are tried again every second until they
 * are written. Calls that only take away (a key, a handle, a process) are let in all the
 * same: else whoever fills the disk could not be stopped. They take effect, their records
 * wait in memory and their replies for them, so many of each process and in all. Calls that
 * change nothing go on. The records of refusals, which nothing holds back, are dropped beyond
 * a bound, and the log says later how many.
 */
import type { KeyObject } from "node:crypto";
import { ContixError, type Errno } from "../../../proto/errno.js";
import type { Clock } from "../../clock.js";
import type { Log } from "../../log.js";
import type { Audit, AuditEntry } from "../audit.js";
import type { ChainEnd, FileLine, NoteLine } from "./chain.js";
import { type Group, GroupText } from "./group.js";
import { recordText } from "./record.js";
import type { AuditStore } from "./store.js";

/** Records that wait at most; a call that would add to them is told to come back. */
const BACKLOG = 16_384;
/** Beyond that, records of calls that only take away, of all and of one process. */
const TAKING = 16_384;
const TAKING_EACH = 64;
/** Lines of one group commit. */
const GROUP = 1024;
/** Lines made without a break, so that nobody waits a millisecond for them. */
const SLICE = 64;
/**
 * Group commits begin so far apart, microseconds: a signature and a sync are not for each record.
 * Only who calls alone, one call after the other, gets one for each: waiting would gather nothing.
 */
const APART_US = 2000;
const RETRY_US = 1_000_000;

/** Results that say no, as opposed to those that say that something went wrong. */
export const DENIED: ReadonlySet<string> = new Set<Errno>([
  ...(["EPERM", "EBADF", "EACCES", "EDQUOT", "EAGAIN", "EEXIST", "ESHUTDOWN"] as const),
]);

export interface AuditLogOptions {
  readonly store: AuditStore;
  /** Where the chain ended, and what is to be said of that. */
  readonly end: ChainEnd;
  readonly notes: readonly NoteLine[];
  readonly key: KeyObject;
  readonly publicHex: string;
  readonly secret: string;
  readonly clock: Clock;
  readonly log: Log;
  /** A file is not written beyond this, bytes, and so many are kept; 0: all. */
  readonly fileBytes: number;
  readonly files: number;
  /** Hears of each head once it is durable; it goes wherever heads are exported to. */
  readonly onHead: (line: string) => void;
}

type Waiting = AuditEntry | NoteLine;

interface Waiter {
  readonly until: number;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export class AuditLog implements Audit {
  readonly #with: AuditLogOptions;
  #end: ChainEnd;
  #waiting: Waiting[] = [];
  /** The last refusal of each process that waits, for those that repeat it. */
  readonly #refusals = new Map<bigint, AuditEntry>();
  readonly #times = new Map<AuditEntry, number>();
  /** Calls that were let in while nothing could be written, by process. */
  readonly #taking = new Map<bigint, number>();
  #recorded = 0;
  #durable = 0;
  #waiters: Waiter[] = [];
  #lost = 0;
  /** In all, those that the log has told of too. */
  #lostInAll = 0;
  #failure: ContixError | undefined;
  #committing = false;
  #begunAt = Number.NEGATIVE_INFINITY;
  /** Whose record alone the last group was; undefined: it had others, or a note. */
  #alone: bigint | undefined;
  #closing = false;
  #closed = false;
  #wake: () => void = () => {};
  #idle: Promise<void> = Promise.resolve();

  constructor(options: AuditLogOptions) {
    this.#with = options;
    this.#end = options.end;
    for (const note of options.notes) this.#push(note);
    this.#push({ at: options.clock.wall(), note: "start", text: "" });
  }

  /** Records that are not written yet, and those that found no room. */
  get backlog() {
    return { length: this.#waiting.length, limit: BACKLOG, lost: this.#lostInAll };
  }

  record(entry: AuditEntry): void {
    const denied = DENIED.has(entry.result) || entry.result === this.#failure?.code;
    if (denied && this.#repeats(entry)) return;
    if (denied && this.#waiting.length >= BACKLOG) {
      this.#lost++;
      this.#lostInAll++;
      return;
    }
    if (denied) this.#refusals.set(entry.pid, entry);
    this.#push(entry);
  }

  admit(taking?: bigint): void {
    if (taking !== undefined && (this.#failure || this.#waiting.length >= BACKLOG)) {
      this.#admitTaking(taking);
      return;
    }
    if (this.#failure) throw this.#failure;
    if (this.#waiting.length < BACKLOG) return;
    const message = `${this.#waiting.length} records wait for the audit log to be written`;
    throw new ContixError("EAGAIN", message, { retryAfterUs: 100_000 });
  }

  #admitTaking(pid: bigint): void {
    const own = this.#taking.get(pid) ?? 0;
    if (own >= TAKING_EACH || this.#waiting.length >= BACKLOG + TAKING) {
      const message = `${own} calls of this process, of ${this.#waiting.length} in all, wait for the audit log to be written`;
      throw new ContixError("EAGAIN", message, { retryAfterUs: RETRY_US });
    }
    this.#taking.set(pid, own + 1);
  }

  sync(): Promise<void> {
    const until = this.#recorded;
    if (this.#durable >= until) return Promise.resolve();
    const last = this.#waiters.at(-1);
    if (last?.until === until) return last.promise;
    let resolve = (): void => {};
    const promise = new Promise<void>((done) => {
      resolve = done;
    });
    this.#waiters.push({ until, promise, resolve });
    return promise;
  }

  /** Writes what waits, and ends. What the disk still refuses is lost, and the daemon's log says so. */
  async close(): Promise<void> {
    this.#push({ at: this.#with.clock.wall(), note: "stop", text: "" });
    this.#closing = true;
    this.#wake();
    while (this.#committing) await this.#idle;
    this.#closed = true;
    await this.#with.store.close();
  }

  #push(what: Waiting): void {
    if (this.#closed) return;
    this.#waiting.push(what);
    this.#recorded++;
    if (!this.#committing) this.#begin();
  }

  /** The same refusal of the same process again, in the same group: one line, with how often. */
  #repeats(entry: AuditEntry): boolean {
    const before = this.#refusals.get(entry.pid);
    const same =
      before?.run === entry.run &&
      before.call === entry.call &&
      before.object === entry.object &&
      before.handle === entry.handle &&
      before.result === entry.result;
    if (same) this.#times.set(before, (this.#times.get(before) ?? 1) + 1);
    return same;
  }

  #begin(): void {
    this.#committing = true;
    this.#idle = this.#work().finally(() => {
      this.#committing = false;
      // What came since the last look.
      if (this.#waiting.length > 0 && !this.#closing) this.#begin();
    });
  }

  async #work(): Promise<void> {
    await nextTurn();
    while (this.#waiting.length > 0) {
      const { clock } = this.#with;
      const early = this.#begunAt + APART_US - clock.now();
      if (early > 0 && !this.#closing && !this.#isAlone()) await this.#pause(early);
      this.#begunAt = clock.now();
      this.#alone = pidOfOne(this.#waiting);
      if (!(await this.#commit())) return;
    }
  }

  /** Whether all that waits is the next record of the process whose record was the last group. */
  #isAlone(): boolean {
    return this.#alone !== undefined && this.#alone === pidOfOne(this.#waiting);
  }

  /** @returns false when the log is being closed and could not be written. */
  async #commit(): Promise<boolean> {
    const { store } = this.#with;
    const { lines, count } = await this.#lines();
    const text = `${lines.text}\n`;
    while (!(await this.#write(text))) {
      if (this.#closing) {
        this.#with.log.error({ records: count }, "audit records could not be written");
        return false;
      }
      await this.#pause(RETRY_US);
    }
    this.#end = lines.end;
    this.#durable += count;
    this.#release();
    await store.keepHead(lines.head).catch((error: unknown) => this.#warn(error));
    this.#with.onHead(lines.head);
    for (const file of lines.drop) await store.remove(file).catch((e: unknown) => this.#warn(e));
    return true;
  }

  /** The text of the next group, its head at its end. */
  async #lines(): Promise<{ lines: Group; count: number }> {
    const { store, key, clock, fileBytes } = this.#with;
    const group = new GroupText(this.#end);
    const full = store.size >= fileBytes && (await this.#goOn());
    if (store.size === 0) group.add(this.#header());
    if (full) await this.#dropOldest(group);
    if (this.#lost > 0) {
      group.add({ at: clock.wall(), note: "lost", text: `${this.#lost} records of refusals` });
      this.#lost = 0;
    }
    let count = 0;
    while (count < GROUP && this.#waiting.length > 0) {
      const slice = this.#waiting.splice(0, Math.min(SLICE, GROUP - count));
      for (const what of slice) {
        if ("note" in what) group.add(what);
        else group.addText(this.#text(what));
      }
      count += slice.length;
      if (this.#waiting.length > 0) await nextTurn();
    }
    return { lines: group.sign(key, clock.wall()), count };
  }

  /** @returns false when there can be no next file: this one grows until there can. */
  async #goOn(): Promise<boolean> {
    try {
      await this.#with.store.next();
      return true;
    } catch (error) {
      this.#warn(error);
      return false;
    }
  }

  /** The oldest file beyond the bound goes, once the log says so. */
  async #dropOldest(group: GroupText): Promise<void> {
    const { store, clock, files } = this.#with;
    const oldest = store.file - files;
    if (files === 0 || oldest < 1) return;
    const through = await store.endOf(oldest).catch(() => undefined);
    if (!through) return;
    group.add({ at: clock.wall(), note: "dropped", text: `file ${oldest}`, through });
    group.drop.push(oldest);
  }

  #header(): FileLine {
    const { store, clock, publicHex } = this.#with;
    return { at: clock.wall(), file: store.file, key: publicHex };
  }

  #text(entry: AuditEntry): string {
    const times = this.#times.get(entry);
    if (times !== undefined) this.#times.delete(entry);
    // From here on a repetition is for a line of its own.
    if (this.#refusals.get(entry.pid) === entry) this.#refusals.delete(entry.pid);
    return recordText(entry, DENIED.has(entry.result), this.#with.secret, times);
  }

  async #write(text: string): Promise<boolean> {
    try {
      await this.#with.store.append(text);
      if (this.#failure) this.#with.log.info({}, "the audit log is written again");
      this.#failure = undefined;
      this.#taking.clear();
      return true;
    } catch (error) {
      const full = (error as NodeJS.ErrnoException).code === "ENOSPC";
      const what = "the audit log can not be written, and nothing is changed without it";
      const message = `${what}: ${(error as Error).message}`;
      if (!this.#failure) this.#with.log.error({ err: error }, what);
      this.#failure = new ContixError(full ? "ENOSPC" : "EIO", message);
      return false;
    }
  }

  #release(): void {
    const done = this.#waiters.filter(({ until }) => until <= this.#durable);
    this.#waiters = this.#waiters.filter(({ until }) => until > this.#durable);
    for (const { resolve } of done) resolve();
  }

  #pause(us: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#with.clock.after(us, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  #warn(error: unknown): void {
    this.#with.log.warn({ err: error }, "audit files");
  }
}

/** The process of the only record, if its reply waits for it: nobody waits for a refusal's. */
function pidOfOne([first, ...others]: readonly Waiting[]): bigint | undefined {
  if (!first || "note" in first || others.length > 0 || DENIED.has(first.result)) return undefined;
  return first.pid;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
