/**
 * What to do when the run of a supervised program has ended: as supervisors of Erlang/OTP
 * decide it (J. Armstrong, "Making reliable distributed systems in the presence of software
 * errors", 2003, chapter 5).
 *
 * A program is in a group, if need be of its own alone. Its policy says which ends count:
 * `never` none, `on-failure` those that nobody asked for, `always` all. When one counts, the
 * group's strategy says who starts again: the one, or all of the group. Starting again is
 * for transient trouble only; what fails again and again is broken, and running it is worse
 * than saying so. So a group has an intensity: after `max` restarts within `withinUs` the
 * next end makes the whole group give up. Between an end and the start lies a pause that
 * doubles with each restart within that time, and so falls back when trouble is over.
 *
 * Pure: from a history and the clock's time to a verdict (law 8).
 */

/** Which ends of a program make it start again. */
export const RESTART_POLICIES = ["never", "on-failure", "always"] as const;
export type RestartPolicy = (typeof RESTART_POLICIES)[number];

/** Who of a group starts again when one has to. */
export const STRATEGIES = ["one_for_one", "all_for_one"] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** How often a group may restart: `max` times within any `withinUs`. */
export interface Intensity {
  readonly max: number;
  readonly withinUs: number;
}

/** The pause before a restart: the first, doubled each time, `mostUs` at most. Microseconds. */
export interface Backoff {
  readonly firstUs: number;
  readonly mostUs: number;
}

/** A restart that was made: who began it, and when, on the kernel's clock. */
export interface Restart {
  readonly pid: bigint;
  readonly at: number;
}

/** How a run ended. */
export interface RunEnd {
  readonly code: number;
  /** "exit", "signal KILL", "spawn failed", … */
  readonly cause: string;
}

export interface Ended extends RunEnd {
  readonly pid: bigint;
  readonly policy: RestartPolicy;
  readonly backoff: Backoff;
  readonly strategy: Strategy;
  readonly intensity: Intensity;
  /** Those of the group so far, in rising time. */
  readonly restarts: readonly Restart[];
  readonly now: number;
}

export type Verdict =
  /** It is over; the rest of its group goes on. */
  | { readonly kind: "over" }
  | { readonly kind: "restart"; readonly afterUs: number; readonly who: "one" | "all" }
  | { readonly kind: "gives up" };

/** Signals by which somebody asks a program to end: as with systemd, no failure. */
const ASKED: ReadonlySet<string> = new Set(["signal TERM", "signal INT", "signal HUP"]);

/** Whether an end is one that nobody asked for. */
export function isFailure({ code, cause }: RunEnd): boolean {
  if (cause === "exit") return code !== 0;
  return !ASKED.has(cause);
}

/** The verdict on an end. */
export function decide(ended: Ended): Verdict {
  const { policy, strategy, restarts, intensity, now } = ended;
  const counts = policy === "always" || (policy === "on-failure" && isFailure(ended));
  if (!counts) return { kind: "over" };
  const recent = recentOf(restarts, intensity, now);
  if (recent.length >= intensity.max) return { kind: "gives up" };
  const all = strategy === "all_for_one";
  // One that fails often does not make its neighbours slow.
  const before = recent.filter(({ pid }) => all || pid === ended.pid).length;
  return { kind: "restart", afterUs: pauseOf(ended.backoff, before), who: all ? "all" : "one" };
}

/** The restarts that still count at `now`: what is as old as the period does not. */
export function recentOf<R extends Restart>(
  restarts: readonly R[],
  { withinUs }: Intensity,
  now: number,
): readonly R[] {
  return restarts.filter(({ at }) => now - at < withinUs);
}

/** The pause after so many restarts before it. */
function pauseOf({ firstUs, mostUs }: Backoff, before: number): number {
  return Math.min(mostUs, firstUs * 2 ** before);
}
