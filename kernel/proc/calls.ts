/** The proc syscalls. */
import { basename, isAbsolute } from "node:path";
import { ContixError } from "../../proto/errno.js";
import type { ProcInfo } from "../../proto/gen/contix/v1/calls.js";
import { argumentsOf, inRange } from "../args.js";
import type { Call } from "../call.js";
import { useProcess } from "../cap/handles.js";
import type { Engine } from "../engines/engine.js";
import { showId } from "../ids.js";
import type { Process } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { processWaits } from "../mm/process-waits.js";
import type { Burst } from "../sched/burst.js";
import { startOsProcess } from "./os-process.js";

const NICE = { min: -20, max: 19 };
const NAME_LENGTH = 128;
const SIGNALS = ["INT", "TERM", "KILL", "USR1"];

export async function spawn(kernel: Kernel, call: Call): Promise<void> {
  const args = argumentsOf(call, "spawn");
  const [program] = args.argv;
  if (!program) throw new ContixError("EINVAL", "argv is empty", { argument: "argv" });
  if (args.cwd !== "" && !isAbsolute(args.cwd)) {
    throw new ContixError("EINVAL", `cwd "${args.cwd}" is not absolute`, { argument: "cwd" });
  }
  const own = args.env.find(({ name }) => name.startsWith("CONTIX_"))?.name;
  if (own) throw new ContixError("EINVAL", `${own} is set by the kernel`, { argument: "env" });
  const { pid: parent, principal } = call.process;
  const nice = inRange("nice", args.nice ?? call.process.nice, NICE.min, NICE.max);
  const name = args.name === "" ? programName(args.argv).slice(0, NAME_LENGTH) : args.name;
  if (name.length > NAME_LENGTH) {
    const message = `a name of ${name.length} characters; at most ${NAME_LENGTH}`;
    throw new ContixError("EINVAL", message, { argument: "name" });
  }
  const { pid, token, log } = kernel.procs.create({ parent, name, principal, nice, spawned: true });
  const env = {
    ...Object.fromEntries(args.env.map(({ name, value }) => [name, value])),
    CONTIX_ADDRESS: `unix://${kernel.config.home}/contixd.sock`,
    CONTIX_TOKEN: token,
    CONTIX_PID: showId(pid),
  };
  const cwd = args.cwd === "" ? process.cwd() : args.cwd;
  let ended = false;
  const onExit = (code: number, cause: string): void => {
    ended = true;
    kernel.procs.exited(pid, code, cause);
  };
  try {
    const os = await startOsProcess({ argv: args.argv, env, cwd, log }, onExit);
    if (!ended) kernel.procs.started(pid, os);
    // Nobody will hear of it: the call was cancelled, or its process ended meanwhile.
    if (call.over) os.signal("SIGKILL");
    call.done({ $case: "spawn", value: { pid } });
  } catch (error) {
    kernel.procs.exited(pid, 127, "spawn failed");
    kernel.journal.append(kernel.procs.reap(pid));
    throw error;
  }
}

export function wait(kernel: Kernel, call: Call): void {
  const { pid } = argumentsOf(call, "wait");
  call.waitingOn = "child";
  processWaits(kernel, call.process, { kind: "child" });
  const found = (child: Process): void => {
    const { code, cause } = child.exit ?? { code: 0, cause: "" };
    const value = { pid: child.pid, exitCode: code, cause };
    call.done({ $case: "wait", value }, [kernel.procs.reap(child.pid)]);
  };
  const failed = (error: ContixError): void => call.fail(error);
  call.onEnd(kernel.procs.wait({ parent: call.process.pid, pid, found, failed }));
}

export function kill(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "kill");
  const signal = (args.signal === "" ? "TERM" : args.signal).toUpperCase().replace(/^SIG/, "");
  if (!SIGNALS.includes(signal)) {
    const message = `unknown signal "${args.signal}"; one of ${SIGNALS.join(", ")}`;
    throw new ContixError("EINVAL", message, { argument: "signal" });
  }
  const target = useProcess(kernel.journal.state, call.process, args.pid, showId(args.pid));
  call.done({ $case: "kill", value: {} });
  kernel.procs.signal(target.pid, signal, call.process.pid);
}

export function exit(kernel: Kernel, call: Call): void {
  const { code } = argumentsOf(call, "exit");
  const { pid } = call.process;
  call.done({ $case: "exit", value: {} });
  // A spawned program says how it ended by its OS process; this one only by this call.
  if (kernel.procs.osPid(pid) === 0)
    void kernel.journal.sync().then(() => kernel.procs.exited(pid, code, "exit"));
}

export function nice(kernel: Kernel, call: Call): void {
  const args = argumentsOf(call, "nice");
  const value = inRange("nice", args.nice, NICE.min, NICE.max);
  const target = useProcess(kernel.journal.state, call.process, args.pid, showId(args.pid));
  const { pid } = target;
  call.done({ $case: "nice", value: {} }, [{ type: "proc.niced", pid, nice: value }]);
  for (const { sched } of kernel.engines.running) sched.renice(pid, value);
}

export function ps(kernel: Kernel, call: Call): void {
  const { all } = argumentsOf(call, "ps");
  const { principal } = call.process;
  const procs: ProcInfo[] = [];
  const models = modelsByOwner(kernel);
  for (const process of kernel.journal.state.processes.values()) {
    if (process.exit && !all) continue;
    if (principal !== "admin" && process.principal !== principal) continue;
    procs.push(describe(kernel, process, models.get(process.pid) ?? new Set()));
  }
  call.done({ $case: "ps", value: { procs } });
}

/** The models of each process's contexts. */
function modelsByOwner(kernel: Kernel): Map<bigint, Set<string>> {
  const out = new Map<bigint, Set<string>>();
  for (const { owner, model } of kernel.journal.state.contexts.values()) {
    out.set(owner, (out.get(owner) ?? new Set()).add(model));
  }
  return out;
}

function describe(kernel: Kernel, process: Process, models: ReadonlySet<string>): ProcInfo {
  const { procs, accounts, clock } = kernel;
  const { pid } = process;
  const account = accounts.of(pid);
  const until = process.exit?.at ?? clock.now();
  // The books have what is over; what still waits or runs is added as it stands.
  const live = kernel.engines.running.map(({ sched }) => sched.timesOf(pid, clock.now()));
  const queuedUs = live.reduce((sum, times) => sum + times.queuedUs, account.queuedUs);
  const servedUs = live.reduce((sum, times) => sum + times.servedUs, account.servedUs);
  return {
    pid,
    parent: process.parent,
    run: process.run,
    name: process.name,
    principal: process.principal,
    ...stateOf(kernel, process),
    nice: process.nice,
    osPid: procs.osPid(pid),
    slot: slotOf(kernel, pid),
    tokensIn: BigInt(account.tokensIn),
    tokensOut: BigInt(account.tokensOut),
    syscalls: BigInt(account.syscalls),
    queuedUs: BigInt(queuedUs),
    servedUs: BigInt(servedUs),
    ageUs: BigInt(until - process.createdAt),
    log: process.log,
    contexts: process.handles.size,
    mail: process.mailbox.length,
    models: [...models],
  };
}

function stateOf(kernel: Kernel, process: Process): { state: string; waitingOn: string } {
  const { trap, procs } = kernel;
  const { pid } = process;
  if (process.exit) return { state: "zombie", waitingOn: process.exit.cause };
  if (runningBurst(kernel, pid)) return { state: "running", waitingOn: "" };
  const waits = [...trap.inFlight(pid)].map((call) => call.waitingOn).filter((what) => what !== "");
  if (waits.includes("slot")) return { state: "ready", waitingOn: "slot" };
  if (waits[0] !== undefined) return { state: "blocked", waitingOn: waits[0] };
  if (!trap.isAttached(pid) && process.run > 0) return { state: "detached", waitingOn: "" };
  // A program that knows no SDK never attaches: it works by itself once its OS process is there.
  if (process.run === 0 && procs.osPid(pid) === 0) return { state: "new", waitingOn: "" };
  return { state: "ready", waitingOn: "" };
}

function slotOf(kernel: Kernel, pid: bigint): number {
  const running = runningBurst(kernel, pid);
  return running ? running.engine.placer.slotOf(running.burst) : -1;
}

function runningBurst(kernel: Kernel, pid: bigint): { engine: Engine; burst: Burst } | undefined {
  for (const engine of kernel.engines.running) {
    const burst = engine.sched.running.find(({ spec }) => spec.pid === pid);
    if (burst) return { engine, burst };
  }
  return undefined;
}

/** The file name of what runs: of the script, when an interpreter runs one. */
function programName(argv: readonly string[]): string {
  const [program = "", first = ""] = argv;
  const interpreted =
    /^(node|tsx|python3?|bash|sh)$/.test(basename(program)) && !first.startsWith("-");
  return basename(interpreted && first !== "" ? first : program);
}
