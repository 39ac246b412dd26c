/** Time: sleep and alarms by the kernel's clock, schedules by the wall clock. */
import type { ScheduleCall } from "../proto/gen/contix/v1/time.js";
import { checkNumber, checkText } from "./check.js";
import { type CallOptions, request } from "./invoke.js";
import { toBytes, toMicroseconds } from "./ipc-mail.js";
import type { SignalName } from "./signals.js";
import { toMs } from "./usage.js";
import type { Session } from "./wire/session.js";

/** Where the firings of a schedule go. */
export type ScheduleTarget =
  /** To this process's inbox. The schedule ends with the process. */
  | { readonly inbox: true }
  /** As a signal to this process. The schedule ends with the process. */
  | { readonly signal: SignalName }
  /** To a mailbox, by its name. */
  | { readonly mailbox: string }
  /** To those that subscribe to the subject. */
  | { readonly subject: string };

export interface ScheduleOptions extends CallOptions {
  /** The wall clock that counts, such as "Europe/Berlin"; UTC by default. */
  readonly timezone?: string | undefined;
  /** What each firing says; by default JSON: `{"schedule", "at", "missed"}`. */
  readonly body?: string | Uint8Array | undefined;
}

export interface Schedule {
  readonly name: string;
  readonly cron: string;
  readonly timezone: string;
  /** "mailbox jobs", "inbox n1.4", "topic news.daily", "signal ALRM n1.4". */
  readonly target: string;
  /** null: never again. */
  readonly next: Date | null;
  readonly fired: number;
  /** Times that were skipped: the clock stepped, or the target had no room. */
  readonly missed: number;
}

/** `os.time` */
export class Time {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Sleeps for `ms` milliseconds. */
  async sleep(ms: number, options?: CallOptions): Promise<void> {
    const us = Math.max(0, checkNumber("ms", ms)) * 1000;
    if (us > Number.MAX_SAFE_INTEGER) throw new RangeError(`ms: ${ms} is longer than any clock`);
    await request(this.#session, { name: "sleep", args: { us: BigInt(Math.round(us)) } }, options);
  }

  /**
   * Sends this process the signal ALRM after `ms` milliseconds; 0: no more. A process has
   * one alarm; the milliseconds that were left of the former are returned, 0 if there was none.
   *
   * @example
   * os.on("ALRM", () => console.log("time is up"));
   * await os.time.alarm(60_000);
   */
  async alarm(ms: number, options?: CallOptions): Promise<number> {
    const args = { us: toMicroseconds("ms", ms) };
    const { leftUs } = await request(this.#session, { name: "alarm", args }, options);
    return toMs(leftUs);
  }

  /**
   * Fires at the times of a cron expression: five fields, or six with seconds first. What
   * the clock skipped is fired once, late. EINVAL: it can never fire, or is none.
   *
   * @example
   * await os.time.schedule("nightly", "30 2 * * *", { mailbox: "jobs" }, { timezone: "Europe/Berlin" });
   */
  async schedule(
    name: string,
    cron: string,
    target: ScheduleTarget,
    options: ScheduleOptions = {},
  ): Promise<{ next: Date }> {
    const args = {
      name: checkText("name", name),
      cron: checkText("cron", cron),
      timezone: checkText("timezone", options.timezone ?? ""),
      body: toBytes(options.body ?? ""),
      ...toTarget(target),
    };
    const { nextMs } = await request(this.#session, { name: "schedule", args }, options);
    return { next: new Date(Number(nextMs)) };
  }

  /** The schedules of this principal. */
  async schedules(options?: CallOptions): Promise<Schedule[]> {
    const call = { name: "scheduleList" as const, args: {} };
    const { schedules } = await request(this.#session, call, options);
    return schedules.map(({ id: _, nextMs, fired, missed, ...rest }) => ({
      ...rest,
      next: nextMs === 0n ? null : new Date(Number(nextMs)),
      fired: Number(fired),
      missed: Number(missed),
    }));
  }

  /** ENOENT. */
  async removeSchedule(name: string, options?: CallOptions): Promise<void> {
    const args = { name: checkText("name", name) };
    await request(this.#session, { name: "scheduleRemove", args }, options);
  }
}

function toTarget(
  target: ScheduleTarget,
): Pick<ScheduleCall, "inbox" | "signal" | "mailbox" | "subject"> {
  const none = { inbox: false, signal: "", mailbox: "", subject: "" };
  if ("mailbox" in target) return { ...none, mailbox: checkText("mailbox", target.mailbox) };
  if ("subject" in target) return { ...none, subject: checkText("subject", target.subject) };
  if ("signal" in target) return { ...none, signal: checkText("signal", target.signal) };
  return { ...none, inbox: true };
}
