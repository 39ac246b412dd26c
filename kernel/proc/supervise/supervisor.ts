/**
 * Supervision: programs that are started again when they end, groups of them that restart
 * or give up together, and watchdogs. A restart is a new run of the same process: its
 * contexts, its handles and its mail stay, and the calls of the former run are fenced.
 *
 * The way of an end: the OS process is gone, `onExit` finds whether the kernel itself ended
 * the run (a doom: it hung, its group restarts, it is stopped) and otherwise asks `decide`;
 * the answer goes to the journal, and a timer starts the next run when it is due. All state
 * is in the journal (fold.ts); here are only its timers, and who waits for a stop.
 */
import type { Clock } from "../../clock.js";
import type { Journal } from "../../journal/journal.js";
import { alone, WATCHED } from "./births.js";
import { decide, type RunEnd } from "./decide.js";
import type { Doom } from "./fold.js";
import { endOf, find, type Group, hasRun, type Member, seconds, whyGivesUp } from "./members.js";
import { Timers } from "./timers.js";

/** A run that was asked to end has so long before it is killed. */
export const GRACE_US = 5_000_000;
/** A program needs so long at most until its first heartbeat, however short its watchdog is. */
export const START_GRACE_US = 60_000_000;

/** What the supervisor needs of the process table. */
export interface Runs {
  /** Begins a new run of the process. */
  start(pid: bigint): Promise<void>;
  signal(pid: bigint, name: "TERM" | "KILL"): void;
  /** The process is over although it has no run that could end. */
  over(pid: bigint, code: number, cause: string): void;
  /** Whether somebody stopped the process (STOP), so that it can not speak. */
  stopped(pid: bigint): boolean;
}

/** What becomes of a process whose run has ended. */
export type Fate =
  | { readonly over: true; readonly code: number; readonly cause: string }
  /** It stays, and begins its next run then. */
  | { readonly over: false; readonly restartAfterUs: number };

export class Supervisor {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #runs: Runs;
  /** The next run of those that wait for it. */
  readonly #starts: Timers;
  /** The time within which the next heartbeat must come. */
  readonly #dogs: Timers;
  /** When who was asked to end is killed. */
  readonly #kills: Timers;
  readonly #waiting = new Map<bigint, (() => void)[]>();

  constructor(journal: Journal, clock: Clock, runs: Runs) {
    this.#journal = journal;
    this.#clock = clock;
    this.#runs = runs;
    this.#starts = new Timers(clock);
    this.#dogs = new Timers(clock);
    this.#kills = new Timers(clock);
  }

  get #state() {
    return this.#journal.state.supervision;
  }

  /** Takes a process that is not supervised yet into a group of its own: somebody watches it. */
  adopt(pid: bigint): void {
    if (find(this.#state, pid)) return;
    const process = this.#journal.state.processes.get(pid);
    if (process) this.#journal.append(...alone(process, { pid, ...WATCHED }));
  }

  /** Of a process that waits for its next run: when the last one ended, and when that begins. */
  between(pid: bigint): { readonly endedAt: number; readonly due: number } | undefined {
    const found = find(this.#state, pid);
    if (!found || hasRun(found.member)) return undefined;
    return { endedAt: found.member.endedAt, due: this.#startOf(found.group, found.member) };
  }

  /** A supervised process's first run has begun. */
  began(pid: bigint): void {
    const watchdogUs = find(this.#state, pid)?.member.watchdogUs ?? 0;
    if (watchdogUs > 0) this.#watch(pid, Math.max(watchdogUs, START_GRACE_US));
  }

  /** A heartbeat: the watchdog waits anew. */
  pat(pid: bigint): void {
    const watchdogUs = find(this.#state, pid)?.member.watchdogUs ?? 0;
    if (watchdogUs > 0 && this.#dogs.has(pid)) this.#watch(pid, watchdogUs);
  }

  /** Sets the watchdog of a process that runs; 0: none from now on. */
  watchdog(pid: bigint, watchdogUs: number): void {
    this.#journal.append({ type: "supervise.watched", pid, watchdogUs });
    if (watchdogUs === 0) this.#dogs.cancel(pid);
    else this.#watch(pid, watchdogUs);
  }

  /** The run of a process has ended. */
  onExit(pid: bigint, end: RunEnd): Fate {
    this.#dogs.cancel(pid);
    this.#kills.cancel(pid);
    const found = find(this.#state, pid);
    if (!found) return this.#over(pid, end);
    const { group, member } = found;
    const said = endOf(member, end);
    // Who was to be started again and was killed meanwhile has no run whose end could count.
    if (member.doom?.next === "over" || group.ending !== "" || !hasRun(member)) {
      return this.#leave(group, member, said);
    }
    if (member.doom?.next === "restart")
      return this.#again(group, member, this.#dueOf(group), false);
    const { id: _, ...rest } = group;
    const verdict = decide({ ...rest, ...member, ...said, now: this.#clock.now() });
    if (verdict.kind === "over") return this.#leave(group, member, said);
    if (verdict.kind === "gives up") return this.#giveUp(group, member, said);
    const due = this.#clock.now() + verdict.afterUs;
    if (verdict.who === "all") this.#doomSiblings(group, member);
    return this.#again(group, member, due, true);
  }

  /** The process is being ended by force: nobody starts it again, and whoever waits for its end has it. */
  release(pid: bigint): void {
    const found = find(this.#state, pid);
    if (!found) return;
    for (const timers of [this.#starts, this.#dogs, this.#kills]) timers.cancel(pid);
    this.#leave(found.group, found.member, { code: 137, cause: "" });
  }

  /** No group starts anything again: the kernel itself ends. */
  endAll(): void {
    for (const { id } of this.#state.groups.values()) this.#ending(id, "shutdown");
    this.#starts.clear();
    this.#dogs.clear();
  }

  /**
   * Ends a process for good, with `graceUs` between TERM and KILL. Resolves when it is over.
   */
  async stop(pid: bigint, graceUs: number): Promise<void> {
    const found = find(this.#state, pid);
    const over = new Promise<void>((resolve) => {
      this.#waiting.set(pid, [...(this.#waiting.get(pid) ?? []), resolve]);
    });
    if (found && !hasRun(found.member)) this.#runs.over(pid, 143, "stopped");
    else {
      if (found) this.#doom(pid, { cause: "", next: "over" });
      this.#ask(pid, graceUs);
    }
    await over;
  }

  /** The same for a group: first whoever waits for a start, then the others, the last first. */
  async stopGroup(id: bigint, graceUs: number): Promise<void> {
    this.#ending(id, "stopped");
    const members = [...(this.#state.groups.get(id)?.members.values() ?? [])].reverse();
    for (const { pid } of members.filter((member) => !hasRun(member)))
      await this.stop(pid, graceUs);
    for (const { pid } of members) {
      if (find(this.#state, pid)) await this.stop(pid, graceUs);
    }
    if (this.#state.groups.has(id)) this.#journal.append({ type: "supervise.removed", group: id });
  }

  #ending(group: bigint, why: string): void {
    this.#journal.append({ type: "supervise.ending", group, why });
  }

  /** The process stays: its next run begins at `due`. */
  #again(group: Group, { pid }: Member, due: number, counts: boolean): Fate {
    const at = this.#clock.now();
    this.#journal.append({ type: "supervise.due", pid, at, due, counts });
    this.#arm(group);
    return { over: false, restartAfterUs: Math.max(0, due - at) };
  }

  /** Starts what is due, each at its time; in a group that restarts as one, when all have ended. */
  #arm(group: Group): void {
    const members = [...group.members.values()];
    if (members.some(({ doom }) => doom?.next === "restart")) return;
    for (const member of members) {
      const { pid } = member;
      if (hasRun(member) || this.#starts.has(pid)) continue;
      const us = Math.max(0, this.#startOf(group, member) - this.#clock.now());
      this.#starts.set(pid, us, () => this.#start(pid));
    }
  }

  #start(pid: bigint): void {
    this.#journal.append({ type: "supervise.started", pid });
    this.began(pid);
    this.#runs.start(pid).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      this.#runs.over(pid, 127, `spawn failed: ${why}`);
    });
  }

  /** When who has no run begins its next one: in a group that restarts as one, with the others. */
  #startOf(group: Group, { due = 0 }: Member): number {
    return group.strategy === "all_for_one" ? this.#dueOf(group) : due;
  }

  /** When the member of a group that restarts as one begins its next run: with who began it. */
  #dueOf(group: Group): number {
    const dues = [...group.members.values()].map(({ due }) => due ?? 0);
    return Math.max(this.#clock.now(), ...dues);
  }

  /** All others of the group end, to start again with the one that ended. */
  #doomSiblings(group: Group, { pid: first }: Member): void {
    for (const member of [...group.members.values()]) {
      const { pid, policy, doom } = member;
      if (pid === first || doom?.next === "over") continue;
      // Who waits for its next run has none that could end: it begins it with the others.
      if (!hasRun(member)) {
        this.#starts.cancel(pid);
        continue;
      }
      const next = policy === "never" ? "over" : "restart";
      this.#doom(pid, { cause: next === "over" ? "its group restarted" : "", next });
      this.#ask(pid, GRACE_US);
    }
  }

  #giveUp(group: Group, member: Member, end: RunEnd): Fate {
    const why = whyGivesUp(group, member.pid, end);
    this.#ending(group.id, why);
    const others = [...group.members.values()].filter(({ pid }) => pid !== member.pid).reverse();
    for (const { pid, due } of others) {
      this.#doom(pid, { cause: `its group ${why}`, next: "over" });
      if (due === undefined) this.#ask(pid, GRACE_US);
      else this.#runs.over(pid, 143, `its group ${why}`);
    }
    return this.#leave(group, member, { code: end.code, cause: `${end.cause}; ${why}` });
  }

  #leave(group: Group, { pid }: Member, end: RunEnd): Fate {
    this.#starts.cancel(pid);
    this.#journal.append({ type: "supervise.left", pid });
    const owner = this.#journal.state.processes.get(group.owner);
    const abandoned = group.ending !== "" || !owner || owner.exit !== undefined;
    if (group.members.size === 0 && abandoned) {
      this.#journal.append({ type: "supervise.removed", group: group.id });
    }
    // In a group that restarts as one, the others may have waited for this one.
    this.#arm(group);
    return this.#over(pid, end);
  }

  /** A process is over: groups that only it could have filled are gone. */
  #over(pid: bigint, { code, cause }: RunEnd): Fate {
    for (const { id, owner, members } of [...this.#state.groups.values()]) {
      if (owner !== pid || members.size > 0) continue;
      this.#journal.append({ type: "supervise.removed", group: id });
    }
    for (const resolve of this.#waiting.get(pid) ?? []) resolve();
    this.#waiting.delete(pid);
    return { over: true, code, cause };
  }

  #doom(pid: bigint, doom: Doom): void {
    this.#journal.append({ type: "supervise.doomed", pid, doom });
  }

  /** Asks a run to end, and kills it when it has not by then. */
  #ask(pid: bigint, graceUs: number): void {
    this.#kills.set(pid, graceUs, () => this.#runs.signal(pid, "KILL"));
    this.#runs.signal(pid, "TERM");
  }

  #watch(pid: bigint, us: number): void {
    this.#dogs.set(pid, us, () => {
      const found = find(this.#state, pid);
      if (!found || found.member.doom) return;
      const { watchdogUs } = found.member;
      // Somebody stopped it on purpose: that is no hanging.
      if (this.#runs.stopped(pid)) {
        this.#watch(pid, watchdogUs);
        return;
      }
      const cause = `hung: no heartbeat for ${seconds(us)}`;
      this.#doom(pid, { cause, next: "policy" });
      this.#runs.signal(pid, "KILL");
    });
  }
}
