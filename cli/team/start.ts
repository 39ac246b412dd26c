/** From a manifest to running processes: a supervised group, an inbox for each agent, the links. */
import { resolve } from "node:path";
import type { Child, Group, Mailbox, Os, SpawnOptions } from "../../syscalls/index.js";
import { SyscallError } from "../../syscalls/index.js";
import type { Passed } from "../../syscalls/proc.js";
import { describe } from "../errors.js";
import { said } from "./issues.js";
import { type Manifest, ManifestError, type TeamAgent } from "./manifest.js";
import type { Path } from "./places.js";
import type { CapabilitySpec } from "./schema.js";

/** A process of a team: a copy of one of its agents. */
export interface Member {
  readonly agent: string;
  /** `planner`, or `worker.2` where there are several. */
  readonly name: string;
  readonly child: Child;
}

export interface RunningTeam {
  readonly name: string;
  readonly group: Group;
  readonly members: readonly Member[];
}

export interface StartOptions {
  /** Hears of each as it was started. */
  readonly started: (member: Member) => void;
  /** Aborted: no more are started. */
  readonly signal: AbortSignal;
}

/**
 * Starts a team, agent by agent. When the kernel refuses one, or it is interrupted, those
 * that were started are ended again.
 *
 * @throws ManifestError with the place of what the kernel refuses; the signal's AbortError.
 */
export async function startTeam(
  os: Os,
  manifest: Manifest,
  { started, signal }: StartOptions,
): Promise<RunningTeam> {
  const { name, agents, strategy, max_restarts: max, within, stop_grace } = manifest;
  const group = await os.proc.supervise({ strategy, max, withinMs: within });
  const inboxes = new Map<string, Mailbox>();
  // Without a name: only those reach it who are passed a handle, and it ends with the last of them.
  for (const agent of agents) inboxes.set(agent.name, await os.ipc.mailbox(""));
  const members: Member[] = [];
  try {
    for (const agent of agents) {
      const extra = await openCapabilities(os, manifest, agent);
      for (let copy = 1; copy <= agent.count; copy++) {
        signal.throwIfAborted();
        const options = optionsOf(manifest, agent, copy, inboxes);
        const capabilities = [...options.capabilities, ...extra];
        const child = await group
          .spawn(agent.argv, { ...options, capabilities })
          .catch((error: unknown) => {
            throw refusal(manifest, agent, error);
          });
        const member = { agent: agent.name, name: options.name, child };
        members.push(member);
        started(member);
      }
    }
    signal.throwIfAborted();
  } catch (error) {
    await group.stop({ graceMs: stop_grace });
    throw error;
  }
  return { name, group, members };
}

function optionsOf(
  manifest: Manifest,
  agent: TeamAgent,
  copy: number,
  inboxes: ReadonlyMap<string, Mailbox>,
) {
  const { cwd, nice, class: rank, sandbox, watchdog, restart, sends_to } = agent;
  const box = (name: string, rights: Passed["rights"]): Passed[] => {
    const handle = inboxes.get(name)?.handle;
    return handle === undefined ? [] : [{ handle, rights, outlives: true }];
  };
  const { policy, backoff: backoffMs, max_backoff: maxBackoffMs } = restart;
  return {
    ...{ cwd, nice, class: rank, sandbox },
    name: agent.count > 1 ? `${agent.name}.${copy}` : agent.name,
    env: {
      ...agent.env,
      TEAM_NAME: manifest.name,
      TEAM_AGENT: agent.name,
      TEAM_COPY: String(copy),
      TEAM_LINKS: ["inbox", ...sends_to].join(","),
    },
    quota: quotasOf(agent),
    confinement: confinementOf(agent),
    restart: { policy, backoffMs, maxBackoffMs },
    watchdog: watchdog && { timeoutMs: watchdog.timeout, heartbeat: watchdog.heartbeat },
    capabilities: [
      ...box(agent.name, ["read", "write", "grant"]),
      ...sends_to.flatMap((name) => box(name, ["write", "grant"])),
    ],
  } satisfies SpawnOptions;
}

/** The quotas that the manifest sets. */
function quotasOf({ quotas = {} }: TeamAgent): Record<string, number> {
  const set = Object.entries(quotas).flatMap(([name, limit]) => {
    return limit === undefined ? [] : [[name, limit] as const];
  });
  return Object.fromEntries(set);
}

/** What its OS process is held to; undefined: the daemon's limits. */
function confinementOf({ limits, permissions, cwd }: TeamAgent): SpawnOptions["confinement"] {
  if (limits === undefined && permissions === undefined) return undefined;
  const whole = (paths: readonly string[] = []): string[] =>
    paths.map((path) => resolve(cwd, path));
  return {
    memoryBytes: limits?.memory,
    cpuSeconds: limits?.cpu === undefined ? undefined : limits.cpu / 1000,
    openFiles: limits?.open_files,
    permission: permissions !== undefined,
    read: whole(permissions?.read),
    write: whole(permissions?.write),
  };
}

/** Handles on what the manifest passes an agent besides its links. */
async function openCapabilities(os: Os, manifest: Manifest, agent: TeamAgent): Promise<Passed[]> {
  const passed: Passed[] = [];
  for (const [i, capability] of agent.capabilities.entries()) {
    try {
      const handle = await open(os, capability);
      passed.push({ handle, rights: capability.rights, outlives: true });
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      throw at(manifest, ["agents", agent.name, "capabilities", i], error);
    }
  }
  return passed;
}

async function open(os: Os, what: CapabilitySpec): Promise<number> {
  const { model, mailbox, topic, context, principal } = what;
  if (model !== undefined) return (await os.cap.open("model", model)).handle;
  if (context !== undefined) return (await os.cap.open("context", context)).handle;
  if (principal !== undefined) return (await os.cap.open("principal", principal)).handle;
  if (topic !== undefined) return (await os.ipc.topic(topic)).handle;
  return (await os.ipc.mailbox(mailbox ?? "")).handle;
}

/** Which key of an agent an argument of the kernel's call is. */
const KEYS: Readonly<Record<string, string>> = {
  argv: "command",
  watchdog_us: "watchdog",
  quota: "quotas",
  confinement: "permissions",
  backoff_us: "restart",
  backoff_max_us: "restart",
};

/** What the kernel said of an agent, where the manifest says it. */
function refusal(manifest: Manifest, agent: TeamAgent, error: unknown): unknown {
  if (!(error instanceof SyscallError)) return error;
  const key = KEYS[error.argument] ?? error.argument;
  const known = key === "command" || key in agent;
  return at(manifest, ["agents", agent.name, ...(known ? [key] : [])], error);
}

function at(manifest: Manifest, path: Path, error: SyscallError): ManifestError {
  const message = said(path, describe(error));
  return new ManifestError(manifest.file, [{ ...manifest.place(path), message }]);
}
