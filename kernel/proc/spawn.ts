/** proc.spawn: from its arguments to a process that runs, or to nothing at all. */
import { basename, isAbsolute } from "node:path";
import { ContixError } from "../../proto/errno.js";
import type { SpawnCall } from "../../proto/gen/contix/v1/calls.js";
import { argumentsOf, inRange } from "../args.js";
import type { Call } from "../call.js";
import { ADMINISTER } from "../cap/access.js";
import { spawnGifts } from "../cap/births.js";
import { askerOf } from "../cap/calls.js";
import { authorize } from "../cap/check.js";
import { PROCESS_QUOTAS, principalLimit, readQuota } from "../cap/rates/quota.js";
import { CLASSES, type ProcessClass, type Program } from "../journal/fold-procs.js";
import type { Process } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { memoryBytes } from "../units.js";
import { checkConfinement } from "./confine.js";
import { startProgram } from "./start-program.js";
import { supervisionOf } from "./supervise/births.js";

export const NICE = { min: -20, max: 19 };
const NAME_LENGTH = 128;

export async function spawn(kernel: Kernel, call: Call): Promise<void> {
  const args = argumentsOf(call, "spawn");
  const { process } = call;
  const gifts = spawnGifts(askerOf(kernel, call), args.capabilities, args.sandbox);
  const program = programOf(kernel.config, args, gifts.length - args.capabilities.length + 1);
  const { pid, handle, ...born } = kernel.procs.create({
    ...{ parent: process.pid, principal: process.principal, spawned: true, gifts, program },
    name: nameOf(args),
    nice: inRange("nice", args.nice ?? process.nice, NICE.min, NICE.max),
    class: classOf(kernel, call, args),
    quota: quotaOf(kernel, process, args),
    ...placeOf(process, args),
    ...supervisionOf(kernel, process, args),
    // What its parent may do bounds what it may, and ends when its parent's key does.
    key: process.key,
    scopes: [...process.scopes],
  });
  const handles = born.handles.slice(gifts.length - args.capabilities.length);
  try {
    const os = await startProgram(kernel, pid);
    // Nobody will hear of it: the call was cancelled, or its process ended meanwhile.
    if (call.over) os.signal("SIGKILL");
    call.done({ $case: "spawn", value: { pid, handle, handles } });
  } catch (error) {
    kernel.procs.discard(pid, "spawn failed");
    throw error;
  }
}

/** What is to be started; its handles of what it is passed begin at `first`. EINVAL. */
function programOf(
  { home, agentMemory }: Kernel["config"],
  args: SpawnCall,
  first: number,
): Program {
  const { argv, cwd, env, confinement, capabilities } = args;
  if (!argv[0]) throw new ContixError("EINVAL", "argv is empty", { argument: "argv" });
  if (cwd !== "" && !isAbsolute(cwd)) {
    throw new ContixError("EINVAL", `cwd "${cwd}" is not absolute`, { argument: "cwd" });
  }
  const own = env.find(({ name }) => name.startsWith("CONTIX_"))?.name;
  if (own) throw new ContixError("EINVAL", `${own} is set by the kernel`, { argument: "env" });
  const program = {
    argv,
    env: {
      ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
      CONTIX_HANDLES: capabilities.map((_, i) => first + i).join(","),
    },
    cwd: cwd === "" ? process.cwd() : cwd,
    confinement: {
      memoryBytes: Number(confinement?.memoryBytes ?? 0n) || memoryBytes(agentMemory, 0),
      cpuUs: Number(confinement?.cpuUs ?? 0n),
      openFiles: confinement?.openFiles ?? 0,
      permission: confinement?.permission ?? false,
      read: confinement?.read ?? [],
      write: confinement?.write ?? [],
    },
  };
  checkConfinement(program, home);
  return program;
}

/** EINVAL: a process has no such quota. EDQUOT: it is more than its parent has left. */
function quotaOf({ rates }: Kernel, parent: Process, { quota: entries }: SpawnCall) {
  if (entries.length === 0) return undefined;
  const quota = readQuota(entries, PROCESS_QUOTAS);
  for (const known of PROCESS_QUOTAS) {
    const limit = quota[known];
    if (limit === undefined) continue;
    if (limit < 1) {
      const message = `${known} is ${limit}; leave it out for what the parent has`;
      throw new ContixError("EINVAL", message, { argument: "quota" });
    }
    const left = rates.remaining(parent, known);
    if (limit <= left) continue;
    const message = `${known} of ${limit} is more than the parent has left: ${left}`;
    throw new ContixError("EDQUOT", message, { argument: "quota" });
  }
  return quota;
}

/** EINVAL: there is none of that name. EPERM: it is not the caller's to give. */
function classOf(kernel: Kernel, call: Call, { class: name }: SpawnCall): ProcessClass {
  const wanted = CLASSES.find((one) => one === (name === "" ? call.process.class : name));
  if (!wanted) {
    const message = `there is no class "${name}"; one of ${CLASSES.join(", ")}`;
    throw new ContixError("EINVAL", message, { argument: "class" });
  }
  if (wanted === "realtime" && !mayRealtime(kernel, call)) {
    authorize(askerOf(kernel, call), ADMINISTER, { name: "class realtime", handle: 0, args: {} });
  }
  return wanted;
}

/** Whether the quota of its principal has room for one more. */
function mayRealtime({ journal: { state }, config }: Kernel, { process }: Call): boolean {
  const { principal } = process;
  const others = [...state.processes.values()].filter((other) => {
    return other.principal === principal && other.class === "realtime" && !other.exit;
  });
  return others.length < principalLimit(state, config.limits, principal, "realtime");
}

/** The parent's group and session, unless it leads its own. */
function placeOf(parent: Process, { newGroup, newSession }: SpawnCall) {
  if (newSession) return {};
  if (newGroup) return { session: parent.session };
  return { group: parent.group, session: parent.session };
}

function nameOf({ name, argv }: SpawnCall): string {
  if (name === "") return programName(argv).slice(0, NAME_LENGTH);
  if (name.length <= NAME_LENGTH) return name;
  const message = `a name of ${name.length} characters; at most ${NAME_LENGTH}`;
  throw new ContixError("EINVAL", message, { argument: "name" });
}

/** The file name of what runs: of the script, when an interpreter runs one. */
function programName(argv: readonly string[]): string {
  const [program = "", first = ""] = argv;
  const interpreted =
    /^(node|tsx|python3?|bash|sh)$/.test(basename(program)) && !first.startsWith("-");
  return basename(interpreted && first !== "" ? first : program);
}
