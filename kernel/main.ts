/** The boot of the kernel: one line a step, in this order. */
import { ContixError } from "../proto/errno.js";
import { tokenHash } from "./cap/tokens.js";
import { systemClock, systemRandomness } from "./clock.js";
import type { Config } from "./config.js";
import { Authenticator } from "./doors/authenticate.js";
import type { GrpcDoor } from "./doors/grpc.js";
import { Engines } from "./engines/engines.js";
import type { ModelLibrary } from "./engines/library.js";
import { makeSwapDirectory, removeSwapDirectory } from "./engines/page-room.js";
import { type Home, openHome } from "./home.js";
import { Mailboxes } from "./ipc/mailboxes.js";
import { memoryJournal } from "./journal/journal.js";
import { type Kernel, VERSION } from "./kernel.js";
import { openLog } from "./log.js";
import { machineMemory } from "./machine.js";
import { ContextLife } from "./mm/context-life.js";
import { Quotas } from "./mm/quota.js";
import { Accounts } from "./proc/accounts.js";
import { Processes } from "./proc/processes.js";
import { ChunkRate } from "./sched/chunk-rate.js";
import { Trap } from "./trap.js";
import { durationUs, memoryBytes } from "./units.js";

export interface Daemon {
  /** Where it listens. */
  readonly addresses: readonly string[];
  /** Lets calls in flight end, up to the drain time, then stops everything. */
  stop(): Promise<void>;
}

const AGENT_GRACE_US = 1_000_000;

/** `library`: how models are found and served; the kernel itself knows none. */
export async function boot(config: Config, library: ModelLibrary): Promise<Daemon> {
  const log = openLog(config.logLevel); // the log
  const home = await openHome(config.home, systemRandomness); // the home, for us alone
  makeSwapDirectory(config); // where pages survive a driver
  const kernel = assemble(config, log, library); // state, policy, books
  const { engines } = kernel;
  try {
    const loading = engines.load([config.model, ...config.preload]); // the models' drivers, each in a process of its own
    await spawned(engines, loading); // they begin at once: what follows takes as long as a driver's start
    const { makeDirectory, openGrpcDoor } = await import("./doors/grpc.js"); // gRPC's code
    const directory = makeDirectory(); // health and reflection
    await loading;
    const wanted = [`unix://${home.socket}`, ...(config.listen === "" ? [] : [config.listen])];
    const auth = new Authenticator(kernel, tokenHash(home.adminToken)); // who may
    const door = await openGrpcDoor(kernel, auth, directory, wanted); // the way in
    const { addresses } = door;
    // However this process ends, short of kill -9, its agents end with it.
    process.once("exit", () => kernel.procs.killAll());
    watchHealth(kernel, door); // open
    home.announce({
      pid: process.pid,
      address: addresses[0],
      addresses,
      version: VERSION,
      startedAt: new Date().toISOString(),
    });
    log.info({ addresses, models: engines.all.map(({ name }) => name) }, "ready");
    return { addresses, stop: once(() => shutdown(kernel, home, door)) };
  } catch (error) {
    await engines.close();
    home.release();
    throw error;
  }
}

/** Makes the parts and joins them. Nothing runs yet. */
function assemble(config: Config, log: Kernel["log"], library: ModelLibrary): Kernel {
  const clock = systemClock;
  const journal = memoryJournal();
  const memoryBudget = memoryBytes(config.memoryBudget, machineMemory());
  const idleUs = durationUs(config.modelIdle);
  const onBroken = (error: unknown): void => broken(log, error);
  const shared = { config, clock, log, journal, library };
  const engines = new Engines({ ...shared, idleUs, memoryBudget, onBroken });
  const parts = {
    config,
    clock,
    random: systemRandomness,
    log,
    journal,
    mail: new Mailboxes(),
    accounts: new Accounts(),
    library,
    engines,
    life: new ContextLife({ clock, journal, engines, log }),
    quotas: new Quotas(config.limits, journal),
    chunkRate: new ChunkRate(),
    startedAt: clock.now(),
  };
  // The trap and the process table reach everything else through the kernel itself.
  const kernel = parts as typeof parts & { trap: Trap; procs: Processes };
  kernel.trap = new Trap(kernel);
  kernel.procs = new Processes(kernel);
  return kernel;
}

/** A broken invariant: better no kernel than one that schedules wrongly. */
function broken(log: Kernel["log"], error: unknown): void {
  log.error({ err: error }, "the kernel's loop broke");
  throw error;
}

/** Health follows the drivers: a model that is given up serves nobody, and without the default the kernel does not. */
/** Resolves when the first driver's process was started, or `loading` is over. */
function spawned(engines: Engines, loading: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    engines.onState = () => resolve();
    loading.then(resolve, () => resolve());
  });
}

function watchHealth({ engines, trap }: Kernel, door: GrpcDoor): void {
  const tell = (model: Engines["default"]): void => {
    const serves = !model.failure && !trap.draining;
    door.serving(serves, model.name);
    if (model === engines.default) door.serving(serves);
  };
  engines.onState = tell;
  for (const model of engines.all) tell(model);
}

async function shutdown(kernel: Kernel, home: Home, door: GrpcDoor): Promise<void> {
  const { trap, procs, engines, log, config, clock } = kernel;
  log.info({ inFlight: trap.busy }, "draining");
  trap.drain();
  for (const model of engines.all) engines.onState(model);
  await drained(trap, clock, config.drainMs * 1000);
  trap.endAll(new ContixError("ESHUTDOWN", "the kernel is shutting down"));
  await procs.endAll(AGENT_GRACE_US);
  await engines.close();
  removeSwapDirectory(config);
  await door.close();
  home.release();
  log.info({}, "stopped");
}

/** Resolves when no call is in flight, or after `us`. */
async function drained(trap: Trap, clock: Kernel["clock"], us: number): Promise<void> {
  const deadline = clock.now() + us;
  while (trap.busy > 0 && clock.now() < deadline) {
    await new Promise<void>((resolve) => clock.after(20_000, resolve));
  }
}

function once<T>(fn: () => T): () => T {
  let result: { value: T } | undefined;
  return () => {
    result ??= { value: fn() };
    return result.value;
  };
}
