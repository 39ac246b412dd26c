/** From what a spawn asks for to the records by which its process is supervised. */
import { ContixError } from "../../../proto/errno.js";
import type { SpawnCall } from "../../../proto/gen/contix/v1/calls.js";
import { inRange } from "../../args.js";
import type { Process } from "../../journal/journal.js";
import type { JournalRecord } from "../../journal/records.js";
import type { Kernel } from "../../kernel.js";
import { type Intensity, RESTART_POLICIES, type RestartPolicy, type Strategy } from "./decide.js";
import type { SuperviseRecord } from "./fold.js";
import type { Group } from "./members.js";

/** What holds where nobody says otherwise. */
export const INTENSITY: Intensity = { max: 5, withinUs: 60_000_000 };
const BACKOFF = { firstUs: 100_000, mostUs: 30_000_000 };
/** Who is watched and never started again. */
export const WATCHED = {
  policy: "never",
  backoff: BACKOFF,
  watchdogUs: 0,
  ownHeartbeat: true,
} as const;
const A_DAY_US = 86_400_000_000;
/** Below this a busy machine alone would look like a hung program. */
const SHORTEST_WATCHDOG_US = 50_000;
const MOST_RESTARTS = 1000;

type Membership = Omit<Extract<SuperviseRecord, { type: "supervise.joined" }>, "type" | "group">;

export interface SupervisedBirth {
  /** The process group, when the spawn names a supervisor's. */
  readonly group?: bigint;
  readonly also: (pid: bigint) => readonly JournalRecord[];
}

/** What `args` asks for. EINVAL, EPERM, ESRCH. */
export function supervisionOf(kernel: Kernel, parent: Process, args: SpawnCall): SupervisedBirth {
  const { restart, supervisor } = args;
  const policy = policyOf(restart?.policy ?? "");
  const watchdogUs = watchdogOf(args.watchdogUs);
  const backoff = backoffOf(restart?.backoffUs ?? 0n, restart?.backoffMaxUs ?? 0n);
  const member = { policy, backoff, watchdogUs, ownHeartbeat: args.ownHeartbeat };
  if (supervisor !== 0n) {
    const { id } = joinable(kernel, parent, args);
    return { group: id, also: (pid) => [{ type: "supervise.joined", group: id, pid, ...member }] };
  }
  const given = restart?.max !== 0 || restart.withinUs !== 0n;
  const intensity = restart && given ? intensityOf(restart) : INTENSITY;
  if (policy === "never" && watchdogUs === 0) return { also: () => [] };
  const of = { parent: parent.pid, principal: parent.principal };
  return { also: (pid) => alone({ pid, ...of }, { pid, ...member }, intensity) };
}

/** The records of a program in a group of its own. */
export function alone(
  { pid, parent, principal }: Pick<Process, "pid" | "parent" | "principal">,
  member: Membership,
  { max, withinUs }: Intensity = INTENSITY,
): JournalRecord[] {
  const strategy: Strategy = "one_for_one";
  const group = { group: pid, owner: parent, principal, strategy, max, withinUs, solo: true };
  return [
    { type: "supervise.group", ...group },
    { type: "supervise.joined", group: pid, ...member },
  ];
}

/** How often a group may restart: 0 and 0 are the default, not never. EINVAL. */
export function intensityOf(wanted: {
  readonly max: number;
  readonly withinUs: bigint;
}): Intensity {
  const max = inRange("max", wanted.max, 0, MOST_RESTARTS);
  if (wanted.withinUs === 0n) return { max, withinUs: INTENSITY.withinUs };
  return { max, withinUs: inRange("within_us", Number(wanted.withinUs), 1, A_DAY_US) };
}

/** A watchdog's time; 0: none. EINVAL. */
export function watchdogOf(us: bigint): number {
  if (us === 0n) return 0;
  return inRange("watchdog_us", Number(us), SHORTEST_WATCHDOG_US, A_DAY_US);
}

function policyOf(name: string): RestartPolicy {
  const policy = RESTART_POLICIES.find((one) => one === (name === "" ? "never" : name));
  if (policy) return policy;
  const message = `there is no restart policy "${name.slice(0, 64)}"; one of ${RESTART_POLICIES.join(", ")}`;
  throw new ContixError("EINVAL", message, { argument: "restart" });
}

function backoffOf(first: bigint, most: bigint): typeof BACKOFF {
  const firstUs =
    first === 0n ? BACKOFF.firstUs : inRange("backoff_us", Number(first), 1, A_DAY_US);
  const mostUs =
    most === 0n
      ? Math.max(firstUs, BACKOFF.mostUs)
      : inRange("backoff_max_us", Number(most), firstUs, A_DAY_US);
  return { firstUs, mostUs };
}

/** The group that a spawn names: made by the caller, and alive. */
function joinable({ journal }: Kernel, parent: Process, args: SpawnCall): Group {
  const { supervisor, restart, newGroup, newSession } = args;
  const group = journal.state.supervision.groups.get(supervisor);
  const no = (code: "EINVAL" | "EPERM" | "ESRCH", message: string, argument = "supervisor") => {
    return new ContixError(code, message, { argument });
  };
  if (!group || group.solo || group.owner !== parent.pid) {
    throw no("EPERM", "the caller made no such group");
  }
  if (group.ending !== "") throw no("ESRCH", `the group starts nothing any more: ${group.ending}`);
  if (newGroup || newSession) {
    throw no("EINVAL", "it is of its supervisor's group and the caller's session", "new_group");
  }
  if (restart && (restart.max !== 0 || restart.withinUs !== 0n)) {
    throw no("EINVAL", "max and within_us are the group's", "restart");
  }
  return group;
}
