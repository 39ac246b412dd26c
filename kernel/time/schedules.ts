/**
 * Schedules: what fires at times of the wall clock.
 *
 * A schedule's next time is the first one after `since`, the wall time up to which all is
 * dealt with. Timers run on the monotonic clock, which knows nothing of the wall clock's
 * steps, so none is longer than half a minute: whoever wakes looks at the wall clock.
 *
 * - The clock stepped forward, or the kernel was not there: the times in between were
 *   missed. They are fired once, late, and the firing says how many it stands for.
 * - The clock stepped back: what was fired is not fired again, unless the step is longer
 *   than three hours. Then it was set right, and the schedule follows it.
 *
 * A firing whose mailbox is full, or is not there, is missed too, and the next one tells.
 */
import { type Clock, LONGEST_SLEEP_US } from "../clock.js";
import { showId } from "../ids.js";
import type { Schedule, ScheduleTarget } from "../journal/fold-time.js";
import type { Journal } from "../journal/journal.js";
import type { Log } from "../log.js";
import { nextAfter, parseCron, type Times } from "./cron.js";

/** What a firing is. */
export interface Firing {
  /** Its time, milliseconds since 1970. */
  readonly at: number;
  /** Those before it that nobody was told of. */
  readonly missed: number;
}

export interface ScheduleParts {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
  /** Takes a firing to its target; false: it has no room, or is not there. */
  readonly fire: (schedule: Schedule, firing: Firing) => boolean;
}

/** A longer step back is no correction of a few minutes: time begins anew. */
const LONG_STEP_MS = 3 * 3_600_000;
/** Missed firings are counted up to here. */
const MOST_COUNTED = 1000;

export class Schedules {
  readonly #parts: ScheduleParts;
  readonly #crons = new Map<bigint, Times>();
  readonly #timers = new Map<bigint, () => void>();

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
  }

  /** Sets the timer of each schedule that the journal knows: at the start. */
  resume(): void {
    for (const id of this.#parts.journal.state.time.schedules.keys()) this.watch(id);
  }

  /** The next time of a schedule, milliseconds since 1970; undefined: never again. */
  next(schedule: Readonly<Schedule>): number | undefined {
    return nextAfter(this.#cron(schedule), schedule.since);
  }

  /** Fires what is due, and sleeps until there is more. */
  watch(id: bigint): void {
    const { journal, clock } = this.#parts;
    this.#timers.get(id)?.();
    this.#timers.delete(id);
    const schedule = journal.state.time.schedules.get(id);
    if (!schedule) {
      this.#crons.delete(id);
      return;
    }
    const now = clock.wall();
    if (schedule.since - now > LONG_STEP_MS) this.#pass(id, now, false, 0);
    const due = this.next(schedule);
    if (due !== undefined && due <= now) {
      this.#catchUp(schedule, due, now);
      this.watch(id);
      return;
    }
    // One that is over stays to be seen until it is removed.
    if (due === undefined) return;
    const sleep = Math.min((due - now) * 1000, LONGEST_SLEEP_US);
    this.#timers.set(
      id,
      clock.after(sleep, () => this.watch(id)),
    );
  }

  /** The schedule is removed. */
  forget(id: bigint): void {
    this.#timers.get(id)?.();
    this.#timers.delete(id);
    this.#crons.delete(id);
  }

  /** The process is over: schedules that told it end with it. */
  processOver(pid: bigint): void {
    const { journal } = this.#parts;
    for (const { id, target } of [...journal.state.time.schedules.values()]) {
      if (!("pid" in target) || target.pid !== pid) continue;
      journal.append({ type: "schedule.removed", id });
      this.forget(id);
    }
  }

  /** All times from `due` to now are one firing: that of the last of them. */
  #catchUp(schedule: Readonly<Schedule>, due: number, now: number): void {
    const { fire, log } = this.#parts;
    const cron = this.#cron(schedule);
    let at = due;
    let skipped = 0;
    for (let next = nextAfter(cron, at); next !== undefined && next <= now; ) {
      at = next;
      skipped++;
      next = skipped < MOST_COUNTED ? nextAfter(cron, at) : undefined;
    }
    const fired = fire(schedule, { at, missed: schedule.untold + skipped });
    if (!fired)
      log.warn({ schedule: schedule.name, target: showTarget(schedule.target) }, "missed");
    this.#pass(schedule.id, Math.max(at, now), fired, skipped + (fired ? 0 : 1));
  }

  #pass(id: bigint, since: number, fired: boolean, missed: number): void {
    this.#parts.journal.append({ type: "schedule.passed", id, since, fired, missed });
  }

  #cron({ id, cron, timezone }: Readonly<Schedule>): Times {
    const known = this.#crons.get(id) ?? parseCron(cron, timezone);
    this.#crons.set(id, known);
    return known;
  }
}

/** `mailbox jobs`, `inbox n1.4`, `topic news.daily`, `signal ALRM n1.4`. */
export function showTarget(target: ScheduleTarget): string {
  switch (target.kind) {
    case "pid":
      return `inbox ${showId(target.pid)}`;
    case "mailbox":
      return `mailbox ${target.name}`;
    case "subject":
      return `topic ${target.subject}`;
    case "signal":
      return `signal ${target.signal} ${showId(target.pid)}`;
  }
}
