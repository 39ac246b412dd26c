/**
 * proc.ps: what each process does, waits for and has used. What the engines know of it is
 * gathered once for all of them, so that a table of ten thousand is read in one pass.
 */
import type { ProcInfo } from "../../proto/gen/contix/v1/calls.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import { askerOf } from "../cap/calls.js";
import { type Asker, sees } from "../cap/check.js";
import type { Process } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { type Holding, holdingsOf, NO_HOLDING } from "../mm/holdings.js";
import { showConfinement } from "./confine.js";
import { NOT_THERE, type OnEngines, onEngines } from "./on-engines.js";

export function ps(kernel: Kernel, call: Call): void {
  const { all } = argumentsOf(call, "ps");
  const asker = askerOf(kernel, call);
  const procs: ProcInfo[] = [];
  const bursts = onEngines(kernel);
  const holdings = holdingsOf(kernel);
  for (const process of kernel.journal.state.processes.values()) {
    if ((process.exit && !all) || process.guest) continue;
    if (!sees(asker, process.principal)) continue;
    const { pid } = process;
    const work = bursts.get(pid) ?? NOT_THERE;
    procs.push(describe(kernel, process, work, holdings.get(pid) ?? NO_HOLDING));
  }
  call.done({ $case: "ps", value: { procs } });
}

/** How many processes that `asker` sees, but itself, run in a slot, could run, and are blocked. */
export function countStates(kernel: Kernel, asker: Asker) {
  const counts = { procsRunning: 0, procsReady: 0, procsBlocked: 0 };
  const bursts = onEngines(kernel);
  for (const process of kernel.journal.state.processes.values()) {
    if (process.exit || process.guest || process === asker.process) continue;
    if (!sees(asker, process.principal)) continue;
    const { state } = stateOf(kernel, process, bursts.get(process.pid) ?? NOT_THERE);
    if (state === "running") counts.procsRunning++;
    else if (state === "ready") counts.procsReady++;
    else if (state === "blocked") counts.procsBlocked++;
  }
  return counts;
}

function describe(kernel: Kernel, process: Process, work: OnEngines, holding: Holding): ProcInfo {
  const { procs, accounts, clock, engines, journal } = kernel;
  const { pid } = process;
  const account = accounts.of(pid);
  const until = process.exit?.at ?? clock.now();
  const between = procs.supervisor.between(pid);
  const pages = (tier: "frames" | "blocks"): number =>
    engines.running.reduce((sum, { placer }) => sum + placer.pool[tier].heldByProcess(pid), 0);
  return {
    pid,
    parent: process.parent,
    run: process.run,
    name: process.name,
    principal: process.principal,
    ...stateOf(kernel, process, work),
    nice: process.nice,
    osPid: procs.osPid(pid),
    slot: work.slot,
    tokensIn: BigInt(account.tokensIn),
    tokensOut: BigInt(account.tokensOut),
    syscalls: BigInt(account.syscalls),
    // The books have what is over; what still waits or runs is added as it stands.
    queuedUs: BigInt(account.queuedUs + work.queuedUs),
    servedUs: BigInt(account.servedUs + work.servedUs),
    ageUs: BigInt(until - process.createdAt),
    log: process.log,
    contexts: process.holds.contexts,
    mail: process.mailbox.mails.length,
    models: [...holding.models],
    class: process.class,
    group: process.group,
    session: process.session,
    restartInUs: between && BigInt(Math.max(0, between.due - clock.now())),
    restart:
      journal.state.supervision.groups
        .get(journal.state.supervision.groupOf.get(pid) ?? 0n)
        ?.members.get(pid)?.policy ?? "",
    exitCode: process.exit?.code,
    isolation: showConfinement(process.program?.confinement),
    pages: holding.pages,
    pagesInMemory: pages("frames"),
    pagesSwapped: pages("blocks"),
  };
}

type State = Pick<ProcInfo, "state" | "waitingOn" | "waitingUs">;

function stateOf(kernel: Kernel, process: Process, work: OnEngines): State {
  const { trap, procs, clock } = kernel;
  const { pid } = process;
  const plain = (state: string): State => ({ state, waitingOn: "", waitingUs: 0n });
  if (process.exit) return { ...plain("zombie"), waitingOn: process.exit.cause };
  const between = procs.supervisor.between(pid);
  if (between) {
    const waitingUs = BigInt(clock.now() - between.endedAt);
    return { state: "blocked", waitingOn: "restart", waitingUs };
  }
  if (process.stopped) return plain("stopped");
  if (work.slot >= 0) return plain("running");
  const waits = [...trap.inFlight(pid)].filter(({ waitingOn }) => waitingOn !== "");
  const wait = waits.find(({ waitingOn }) => waitingOn === "slot") ?? waits[0];
  if (wait !== undefined) {
    const { waitingOn, arrivedAt } = wait;
    const slot = waitingOn === "slot";
    const since = slot ? (work.readySince ?? arrivedAt) : arrivedAt;
    return { state: slot ? "ready" : "blocked", waitingOn, waitingUs: BigInt(clock.now() - since) };
  }
  if (!trap.isAttached(pid) && process.run > 0) return plain("detached");
  // A program that knows no SDK never attaches: it works by itself once its OS process is there.
  if (process.run === 0 && procs.osPid(pid) === 0) return plain("new");
  return plain("ready");
}
