/** The fold's part for time: alarms and schedules. Timers are none of it: they are set from it. */
import { COUNTER, type State } from "./state.js";

/** Where a firing goes. */
export type ScheduleTarget =
  | { readonly kind: "pid"; readonly pid: bigint }
  | { readonly kind: "mailbox"; readonly name: string }
  | { readonly kind: "subject"; readonly subject: string }
  | { readonly kind: "signal"; readonly pid: bigint; readonly signal: string };

export interface Schedule {
  readonly id: bigint;
  readonly principal: string;
  readonly name: string;
  readonly cron: string;
  readonly timezone: string;
  readonly target: ScheduleTarget;
  readonly body: Uint8Array;
  /** The last time of the wall clock that was fired, or passed over; milliseconds since 1970. */
  since: number;
  fired: number;
  missed: number;
  /** Of the missed, those that no firing has told of yet. */
  untold: number;
}

export interface TimeState {
  /** By process: when the signal is due, microseconds of the kernel's clock. */
  readonly alarms: Map<bigint, number>;
  readonly schedules: Map<bigint, Schedule>;
  /** How many a principal has. */
  readonly counts: Map<string, number>;
  last: number;
}

export type TimeRecord =
  | { type: "alarm.set"; pid: bigint; at: number }
  | { type: "alarm.over"; pid: bigint }
  | ({ type: "schedule.set"; at: number } & Omit<Schedule, "since" | "fired" | "missed" | "untold">)
  /** All up to `since` is dealt with: fired or not, so many missed. */
  | { type: "schedule.passed"; id: bigint; since: number; fired: boolean; missed: number }
  | { type: "schedule.removed"; id: bigint };

export function emptyTime(): TimeState {
  return { alarms: new Map(), schedules: new Map(), counts: new Map(), last: 0 };
}

/** Applies a record of time. */
export function applyTime({ time }: State, record: TimeRecord): void {
  switch (record.type) {
    case "alarm.set":
      time.alarms.set(record.pid, record.at);
      break;
    case "alarm.over":
      time.alarms.delete(record.pid);
      break;
    case "schedule.set": {
      const { type: _, at, ...schedule } = record;
      time.last = Math.max(time.last, Number(record.id & COUNTER));
      const books = { since: at, fired: 0, missed: 0, untold: 0 };
      time.schedules.set(record.id, { ...schedule, ...books });
      count(time, record.principal, 1);
      break;
    }
    case "schedule.passed": {
      const schedule = time.schedules.get(record.id);
      if (!schedule) break;
      schedule.since = record.since;
      schedule.missed += record.missed;
      schedule.untold = record.fired ? 0 : schedule.untold + record.missed;
      if (record.fired) schedule.fired++;
      break;
    }
    case "schedule.removed": {
      const schedule = time.schedules.get(record.id);
      if (schedule && time.schedules.delete(record.id)) count(time, schedule.principal, -1);
      break;
    }
  }
}

function count({ counts }: TimeState, principal: string, by: 1 | -1): void {
  const now = (counts.get(principal) ?? 0) + by;
  if (now > 0) counts.set(principal, now);
  else counts.delete(principal);
}
