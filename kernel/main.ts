/** The boot of the kernel: one line a step, in this order. */
import { join } from "node:path";
import { ContixError } from "../proto/errno.js";
import { Questions } from "./cap/ask/questions.js";
import { type HomeAudit, openAudit } from "./cap/audit/make.js";
import { keyFile } from "./cap/key-file.js";
import { Principals } from "./cap/principals.js";
import { Rates } from "./cap/rates/rates.js";
import { tokenHash } from "./cap/tokens.js";
import { systemClock, systemRandomness } from "./clock.js";
import type { Config } from "./config.js";
import { Authenticator } from "./doors/authenticate.js";
import { DoorBooks } from "./doors/books.js";
import type { GrpcDoor } from "./doors/grpc.js";
import { type FindNatsServer, type NatsDoors, openNatsDoor } from "./doors/nats-open.js";
import { Engines } from "./engines/engines.js";
import type { ModelLibrary } from "./engines/library.js";
import { makeSwapDirectory, removeSwapDirectory } from "./engines/page-room.js";
import { Events } from "./events/events.js";
import { type Home, openHome } from "./home.js";
import { Ipc } from "./ipc/ipc.js";
import { memoryJournal } from "./journal/journal.js";
import { becomeNode, type Kernel, VERSION } from "./kernel.js";
import { openLog } from "./log.js";
import { machineMemory } from "./machine.js";
import { ContextLife } from "./mm/context-life.js";
import { PageQuotas } from "./mm/page-quotas.js";
import { Quotas } from "./mm/quota.js";
import { Accounts } from "./proc/accounts.js";
import { Processes } from "./proc/processes.js";
import { Queues } from "./queues.js";
import { ChunkRate } from "./sched/chunk-rate.js";
import { type KernelTime, makeTime } from "./time/make.js";
import { Trap } from "./trap.js";
import { durationUs, memoryBytes } from "./units.js";

export interface Daemon {
  /** Where it listens. */
  readonly addresses: readonly string[];
  /** Reads the TLS certificates again; bad ones are logged, and those in force stay. */
  reload(): void;
  /** Lets calls in flight end, up to the drain time, then stops everything. */
  stop(): Promise<void>;
}

/** A server that is a client of the kernel, and lives as long as the daemon: the gateway. */
export interface Beside {
  readonly address: string;
  /** Has it read its TLS certificates again; what came of it is in its own log. */
  reload(): void;
  stop(): Promise<void>;
}
/** Starts it, in front of the kernel at an address. */
export type StartBeside = (kernel: string) => Promise<Beside | undefined>;

interface Doors {
  readonly door: GrpcDoor;
  readonly nats: NatsDoors | undefined;
}

/** What the kernel needs of the world, and has no code for. */
export interface World {
  /** How models are found and served; the kernel itself knows none. */
  readonly library: ModelLibrary;
  /** Whence a private nats-server comes. */
  readonly findNatsServer: FindNatsServer;
  readonly startBeside?: StartBeside;
}

const AGENT_GRACE_US = 1_000_000;
/** How long the last answers may take to be durable: a full disk would keep them for ever. */
const ANSWERS_US = 1_000_000;

export async function boot(config: Config, world: World): Promise<Daemon> {
  const { library, startBeside = async () => undefined } = world;
  becomeNode(config.node); // who it is among others
  const log = openLog(config.logLevel); // the log
  const home = await openHome(config.home, systemRandomness); // the home, for us alone
  makeSwapDirectory(config); // where pages survive a driver
  const records = await openRecords(config, log, home); // what was denied and done, for good
  const kernel = assemble(config, log, library, records); // state, policy, books
  const { engines } = kernel;
  try {
    const loading = engines.load([config.model, ...config.preload]); // the models' drivers, each in a process of its own
    await spawned(engines, loading); // they begin at once: what follows takes as long as a driver's start
    const { openGrpcDoor } = await import("./doors/grpc.js"); // gRPC's code
    await loading;
    const wanted = [`unix://${home.socket}`, ...(config.listen === "" ? [] : [config.listen])];
    const auth = new Authenticator(kernel, tokenHash(home.adminToken)); // who may
    const door = await openGrpcDoor(kernel, auth, wanted); // the way in
    const nats = await openNatsDoor(kernel, auth, world.findNatsServer); // the other way in, when asked for
    if (nats) records.exportTo(async (head) => nats.head(head)); // and a way out for the audit's heads
    const addresses = [...door.addresses, ...(nats ? [nats.url] : [])];
    // However this process ends, short of kill -9, its agents end with it.
    process.once("exit", () => kernel.procs.killAll());
    const beside = await startBeside(`unix://${home.socket}`); // what stands before the kernel
    watchHealth(kernel, door); // open
    home.announce({
      pid: process.pid,
      address: addresses[0],
      addresses,
      http: beside?.address,
      version: VERSION,
      startedAt: new Date().toISOString(),
    });
    log.info({ addresses, models: engines.all.map(({ name }) => name) }, "ready");
    return {
      addresses,
      reload: () => reload(log, door, beside),
      stop: once(() => shutdown(kernel, home, { door, nats }, records, beside)),
    };
  } catch (error) {
    await engines.close();
    await records.close();
    home.release();
    throw error;
  }
}

/** The audit log of the home. Without one nothing is started. */
async function openRecords(config: Config, log: Kernel["log"], home: Home): Promise<HomeAudit> {
  try {
    return await openAudit({ config, clock: systemClock, random: systemRandomness, log });
  } catch (error) {
    home.release();
    throw error;
  }
}

/** Makes the parts and joins them. Nothing runs yet. */
function assemble(
  config: Config,
  log: Kernel["log"],
  library: ModelLibrary,
  records: HomeAudit,
): Kernel {
  const clock = systemClock;
  const journal = memoryJournal();
  const events = new Events(journal);
  const audit = events.overhearing(records.audit);
  const accounts = new Accounts();
  const memoryBudget = memoryBytes(config.memoryBudget, machineMemory());
  const idleUs = durationUs(config.modelIdle);
  const onBroken = (error: unknown): void => broken(log, error);
  const chunkRate = new ChunkRate();
  const queues = new Queues();
  queues.add("audit", () => records.audit.backlog);
  const pageQuotas = new PageQuotas(config.limits, journal);
  const shared = { config, clock, log, journal, library, chunkRate, pageQuotas };
  const engines = new Engines({ ...shared, idleUs, memoryBudget, onBroken });
  const parts = {
    config,
    clock,
    random: systemRandomness,
    log,
    journal,
    doors: new DoorBooks(),
    queues,
    ipc: new Ipc({ journal, clock, config }),
    accounts,
    library,
    engines,
    life: new ContextLife({ clock, journal, engines, log }),
    quotas: new Quotas(config.limits, journal, (model) => engines.framesOf(model)),
    rates: new Rates({ config, clock, journal, accounts, pages: pageQuotas }),
    ask: new Questions({ config, clock, journal, audit }),
    audit,
    events,
    chunkRate,
    startedAt: clock.now(),
  };
  // The trap and the process table reach everything else through the kernel itself.
  const kernel = parts as typeof parts & {
    trap: Trap;
    procs: Processes;
    principals: Principals;
    time: KernelTime;
  };
  kernel.trap = new Trap(kernel);
  kernel.procs = new Processes(kernel);
  kernel.time = makeTime(kernel);
  kernel.principals = new Principals(kernel, keyFile(join(config.home, "principals.json")));
  return kernel;
}

/** A broken invariant: better no kernel than one that schedules wrongly. */
function broken(log: Kernel["log"], error: unknown): void {
  log.error({ err: error }, "the kernel's loop broke");
  throw error;
}

/** Resolves when the first driver's process was started, or `loading` is over. */
function spawned(engines: Engines, loading: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    engines.onState = () => resolve();
    loading.then(resolve, () => resolve());
  });
}

/** Health follows the drivers: a model that is given up serves nobody, and without the default the kernel does not. */
function watchHealth({ engines, events, trap }: Kernel, door: GrpcDoor): void {
  const tell = (model: Engines["default"]): void => {
    events.model(model);
    const serves = !model.failure && !trap.draining;
    door.serving(serves, model.name);
    if (model === engines.default) door.serving(serves);
  };
  engines.onState = tell;
  for (const model of engines.all) tell(model);
}

function reload(log: Kernel["log"], door: GrpcDoor, beside: Beside | undefined): void {
  beside?.reload();
  try {
    if (door.reload()) log.info({}, "certificates read again");
  } catch (error) {
    log.error({ err: error }, "the certificates were not taken; the former stay");
  }
}

async function shutdown(
  kernel: Kernel,
  home: Home,
  { door, nats }: Doors,
  records: HomeAudit,
  beside: Beside | undefined,
): Promise<void> {
  const { trap, procs, engines, log, config, clock } = kernel;
  log.info({ inFlight: trap.busy }, "draining");
  trap.drain();
  // Who ends from now on is not started again: its calls would be refused.
  procs.supervisor.endAll();
  for (const model of engines.all) engines.onState(model);
  const left = beside?.stop();
  await drained(trap, clock, config.drainMs * 1000);
  await left;
  trap.endAll(new ContixError("ESHUTDOWN", "the kernel is shutting down"));
  await answered(kernel);
  await procs.endAll(AGENT_GRACE_US);
  await engines.close();
  removeSwapDirectory(config);
  await nats?.close();
  await door.close();
  await records.close();
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

/** Resolves when the answers of calls that are over were sent, which is once they are durable. */
async function answered({ journal, audit, clock }: Kernel): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = clock.after(ANSWERS_US, resolve);
    void Promise.all([journal.sync(), audit.sync()]).then(() => {
      cancel();
      resolve();
    });
  });
}

function once<T>(fn: () => T): () => T {
  let result: { value: T } | undefined;
  return () => {
    result ??= { value: fn() };
    return result.value;
  };
}
