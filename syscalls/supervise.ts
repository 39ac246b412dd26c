/** Supervision: programs that are started again, groups of them, watchdogs. */
import type { SpawnCall } from "../proto/gen/contix/v1/calls.js";
import { checkCount, checkNumber, checkText, checkTexts } from "./check.js";
import { type Pid, readId, showId } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import type { Child, Proc, SpawnOptions } from "./proc.js";
import type { Session } from "./wire/session.js";

/** Which ends of a program make it start again. */
export type RestartPolicy = "never" | "on-failure" | "always";

/** How a program is started again: as the same process, with its contexts, handles and mail. */
export interface RestartOptions {
  readonly policy: RestartPolicy;
  /** The pause before the first restart, doubled with each up to `maxBackoffMs`; 100 ms by default. */
  readonly backoffMs?: number | undefined;
  /** 30 s by default. */
  readonly maxBackoffMs?: number | undefined;
  /** So often within `withinMs`; one more end, and it is over. 5 a minute by default. */
  readonly max?: number | undefined;
  readonly withinMs?: number | undefined;
}

/** A run that is not heard of for so long is killed, and its end is a failure. */
export interface WatchdogOptions {
  readonly timeoutMs: number;
  /** "program": it calls `os.proc.heartbeat()` itself; by default its SDK does while it can. */
  readonly heartbeat?: "sdk" | "program" | undefined;
}

/** What `os.proc.spawn()` takes of supervision. */
export interface SupervisionOptions {
  /** "never" by default. */
  readonly restart?: RestartPolicy | RestartOptions | undefined;
  /** Milliseconds, or more. */
  readonly watchdog?: number | WatchdogOptions | undefined;
}

export interface GroupOptions extends CallOptions {
  /** Who starts again when one has to; "one_for_one" by default. */
  readonly strategy?: "one_for_one" | "all_for_one" | undefined;
  /** Restarts of all of the group within `withinMs`; one more, and all of it is over. 5 a minute by default. */
  readonly max?: number | undefined;
  readonly withinMs?: number | undefined;
}

export interface StopOptions extends CallOptions {
  /** How long a process may take between TERM and KILL; 5 s by default. */
  readonly graceMs?: number | undefined;
}

type Wire = Pick<SpawnCall, "restart" | "watchdogUs" | "ownHeartbeat" | "supervisor">;

/** Of spawn's options those of supervision, as the wire has them. */
export function toSupervision({ restart, watchdog }: SupervisionOptions, supervisor: bigint): Wire {
  const { policy = "never", ...more }: Partial<RestartOptions> =
    typeof restart === "string" ? { policy: restart } : (restart ?? {});
  const dog = typeof watchdog === "number" ? { timeoutMs: watchdog } : watchdog;
  return {
    restart: restart && {
      policy: checkText("restart.policy", policy),
      max: checkCount("restart.max", more.max ?? 0),
      withinUs: toUs("restart.withinMs", more.withinMs),
      backoffUs: toUs("restart.backoffMs", more.backoffMs),
      backoffMaxUs: toUs("restart.maxBackoffMs", more.maxBackoffMs),
    },
    watchdogUs: toUs("watchdog", dog?.timeoutMs),
    ownHeartbeat: dog?.heartbeat === "program",
    supervisor,
  };
}

/** A group of processes that restart and give up together, as a process group with this id. */
export class Group {
  readonly #session: Session;
  readonly #proc: Proc;
  readonly #id: bigint;

  /** Made by `os.proc.supervise()`. */
  constructor(session: Session, proc: Proc, id: bigint) {
    this.#session = session;
    this.#proc = proc;
    this.#id = id;
  }

  get id(): Pid {
    return showId(this.#id);
  }

  /** Starts a program as a child of this process and a member of the group. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): Promise<Child> {
    return this.#proc.spawn(checkTexts("argv", argv), { ...options, supervisor: this.id });
  }

  /** Ends all of the group for good, the last that was spawned first. Resolves when all are over. */
  async stop(options: StopOptions = {}): Promise<void> {
    const args = { group: this.#id, graceUs: toUs("graceMs", options.graceMs) };
    await request(this.#session, { name: "stopGroup", args }, options);
  }
}

/** Makes a group. */
export async function makeGroup(
  session: Session,
  proc: Proc,
  options: GroupOptions,
): Promise<Group> {
  const { strategy = "", max, withinMs } = options;
  const args = {
    strategy: checkText("strategy", strategy),
    max: max === undefined ? undefined : checkCount("max", max),
    withinUs: toUs("withinMs", withinMs),
  };
  const { group } = await request(session, { name: "supervise", args }, options);
  return new Group(session, proc, group);
}

/** Ends a process for good. */
export async function stopProcess(
  session: Session,
  pid: Pid,
  options: StopOptions = {},
): Promise<void> {
  const args = { pid: readId("pid", pid), graceUs: toUs("graceMs", options.graceMs) };
  await request(session, { name: "stop", args }, options);
}

/** Sets this process's own watchdog; 0: none. */
export async function setWatchdog(
  session: Session,
  timeoutMs: number,
  options?: CallOptions,
): Promise<void> {
  const args = { watchdogUs: toUs("timeoutMs", timeoutMs) };
  await request(session, { name: "watchdog", args }, options);
}

/** One heartbeat. */
export async function beat(session: Session, options?: CallOptions): Promise<void> {
  await request(session, { name: "heartbeat", args: {} }, options);
}

/** Sends heartbeats as the kernel asked for in this program's environment; the result ends them. */
export function heartbeats(session: Session, env: NodeJS.ProcessEnv = process.env): () => void {
  const us = Number(env.CONTIX_WATCHDOG_US ?? "");
  if (!(us > 0)) return () => undefined;
  // One that is lost is made good by the next; a stream that is lost is told elsewhere.
  const send = (): void => void beat(session).catch(() => undefined);
  send();
  const timer = setInterval(send, us / 3000);
  timer.unref();
  return () => clearInterval(timer);
}

function toUs(argument: string, ms = 0): bigint {
  const us = Math.round(checkNumber(argument, ms) * 1000);
  if (us >= 0 && us <= Number.MAX_SAFE_INTEGER) return BigInt(us);
  throw new RangeError(`${argument}: expected 0 or more milliseconds, got ${ms}`);
}
