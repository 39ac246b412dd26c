/** `contix run -f team.yaml`: a team of agents from its manifest. */
import type { Os } from "../../syscalls/index.js";
import { attachOrStart } from "../attach.js";
import { out } from "../colour.js";
import type { Place } from "../command.js";
import { EXIT_FAILED, EXIT_INTERRUPTED } from "../errors.js";
import { table } from "../format.js";
import { type Manifest, ManifestError, readManifest } from "../team/manifest.js";
import { type Member, type RunningTeam, startTeam } from "../team/start.js";
import { type TeamEvent, watchTeam } from "../team/watch.js";
import { interruptible, print, printJson, remark, whenPipeCloses } from "../terminal.js";

export interface TeamOptions {
  readonly detach?: true;
  readonly json?: true;
}

/** Runs a team and sets the exit code: 0 when all of it ended with 0, 1 when not, 130 after Ctrl-C. */
export async function runTeam(file: string, options: TeamOptions, place: Place): Promise<void> {
  try {
    const manifest = readManifest(file);
    await using os = await interruptible((signal) => attachOrStart(place, "contix run", signal));
    const tell = options.json === true ? printJson : teller(longestName(manifest.agents));
    const team = await start(os, manifest, ({ name, child }) => {
      if (options.detach !== true) tell({ event: "started", name, pid: child.pid });
    });
    if (options.detach === true) showDetached(team, options.json === true);
    else process.exitCode = await untilOver(os, team, manifest.stop_grace, tell);
  } catch (error) {
    if (error instanceof ManifestError) for (const line of error.lines) remark(line);
    throw error;
  }
}

/** Until all are started, a Ctrl-C or a reader who has enough ends those that were. */
async function start(
  os: Os,
  manifest: Manifest,
  started: (member: Member) => void,
): Promise<RunningTeam> {
  const closed = new AbortController();
  const restorePipe = whenPipeCloses(() => closed.abort());
  try {
    return await interruptible((interrupted) => {
      const signal = AbortSignal.any([interrupted, closed.signal]);
      return startTeam(os, manifest, { started, signal });
    });
  } finally {
    restorePipe();
  }
}

async function untilOver(
  os: Os,
  team: RunningTeam,
  graceMs: number,
  tell: (event: TeamEvent) => void,
): Promise<number> {
  const stopper = stopOnSignals(os, team, graceMs);
  try {
    const exits = await watchTeam(os, team, tell);
    if (stopper.asked()) return EXIT_INTERRUPTED;
    return exits.every(({ exitCode }) => exitCode === 0) ? 0 : EXIT_FAILED;
  } finally {
    stopper.release();
  }
}

/** The first Ctrl-C stops the team in order, the second kills it. */
function stopOnSignals(os: Os, { group, members, name }: RunningTeam, graceMs: number) {
  let presses = 0;
  const stop = (): void => {
    presses += 1;
    if (presses === 1) {
      remark(`contix: stopping ${name}; Ctrl-C again kills it`);
      group.stop({ graceMs }).catch(() => undefined);
      return;
    }
    // Those that are gone already got what they were asked for.
    for (const { child } of members) os.proc.kill(child.pid, "KILL").catch(() => undefined);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, stop);
  const restorePipe = whenPipeCloses(stop);
  return {
    asked: (): boolean => presses > 0,
    release: (): void => {
      for (const signal of signals) process.off(signal, stop);
      restorePipe();
    },
  };
}

function showDetached({ name, group, members }: RunningTeam, json: boolean): void {
  const rows = members.map(({ agent, name: shown, child }: Member) => ({
    ...{ pid: child.pid, agent, name: shown },
  }));
  if (json) {
    printJson({ team: name, group: group.id, agents: rows });
    return;
  }
  const cells = rows.map(({ pid, name: shown }) => [pid, shown]);
  print(table([{ title: "PID" }, { title: "NAME" }], cells, out.bold));
  print(`${name} is group ${group.id}: \`contix kill -g ${group.id}\` ends all of it`);
}

/** Events as lines: `planner   | text`. */
function teller(width: number): (event: TeamEvent) => void {
  return (event) => {
    const name = out.bold(event.name.padEnd(width));
    if (event.event === "said") print(`${name} | ${event.text}`);
    else print(`${name} ${out.dim(`* ${happened(event)}`)}`);
  };
}

function happened(event: Exclude<TeamEvent, { event: "said" }>): string {
  switch (event.event) {
    case "started":
      return `${event.pid} started`;
    case "restarted":
      return `${event.pid} started again (${event.times})`;
    case "over":
      return event.cause === "exit"
        ? `${event.pid} over: exit code ${event.exitCode}`
        : `${event.pid} over: ${event.cause}`;
  }
}

function longestName(agents: readonly { readonly name: string; readonly count: number }[]): number {
  return Math.max(...agents.map(({ name, count }) => name.length + (count > 1 ? 3 : 0)));
}
