/** The boot of the kernel: one line a step, in this order. */
import { ContixError } from "../proto/errno.js";
import type { Open } from "../proto/gen/contix/driver/v1/llm.js";
import { tokenHash } from "./cap/tokens.js";
import { systemClock, systemRandomness } from "./clock.js";
import type { Config } from "./config.js";
import { Authenticator } from "./doors/authenticate.js";
import { type GrpcDoor, makeDirectory, openGrpcDoor } from "./doors/grpc.js";
import { LlmDriver } from "./drivers/llm.js";
import { type Home, openHome } from "./home.js";
import { Mailboxes } from "./ipc/mailboxes.js";
import { memoryJournal } from "./journal/journal.js";
import { type Kernel, VERSION } from "./kernel.js";
import { openLog } from "./log.js";
import { Placer } from "./mm/place.js";
import { Accounts } from "./proc/accounts.js";
import { Processes } from "./proc/processes.js";
import { Admission } from "./sched/admission.js";
import { Loop } from "./sched/loop.js";
import type { Policy } from "./sched/policy.js";
import { priority } from "./sched/priority.js";
import { roundRobin } from "./sched/rr.js";
import { Scheduler } from "./sched/scheduler.js";
import { Trap } from "./trap.js";

/** How the daemon starts the LLM driver: the kernel knows no model, only this command. */
export interface DriverCommand {
  readonly command: readonly string[];
  /** The compiled model's directory, or what else the driver takes. */
  readonly model: string;
}

export interface Daemon {
  /** Where it listens. */
  readonly addresses: readonly string[];
  /** Lets calls in flight end, up to the drain time, then stops everything. */
  stop(): Promise<void>;
}

const AGING_US = 1_000_000;
const DRIVER_RESTARTS = 5;
const DRIVER_WINDOW_US = 600_000_000;
const DRIVER_HANG_US = 30_000_000;
/** Loading a large model from a cold disk takes its time. */
const DRIVER_OPEN_US = 300_000_000;
const AGENT_GRACE_US = 1_000_000;

export async function boot(config: Config, driverCommand: DriverCommand): Promise<Daemon> {
  const log = openLog(config.logLevel); // the log
  const home = await openHome(config.home, systemRandomness); // the home, for us alone
  try {
    const driver = openDriver(config, driverCommand, log); // the LLM driver, in a process of its own
    const starting = driver.start();
    const directory = makeDirectory(); // health and reflection, while the driver loads
    const engine = await starting;
    const kernel = assemble(config, log, driver, engine); // state, policy, books
    const wanted = [`unix://${home.socket}`, ...(config.listen === "" ? [] : [config.listen])];
    const auth = new Authenticator(kernel, tokenHash(home.adminToken)); // who may
    const door = await openGrpcDoor(kernel, auth, directory, wanted).catch(
      async (error: unknown) => {
        await driver.stop();
        throw error;
      },
    ); // the way in
    const { addresses } = door;
    // However this process ends, short of kill -9, its agents end with it.
    process.once("exit", () => kernel.procs.killAll());
    kernel.loop.start((error) => broken(log, error)); // the loop
    door.serving(true); // open
    home.announce({
      pid: process.pid,
      address: addresses[0],
      addresses,
      version: VERSION,
      startedAt: new Date().toISOString(),
    });
    log.info({ addresses, model: engine.model, slots: engine.slots }, "ready");
    return { addresses, stop: once(() => shutdown(kernel, home, door)) };
  } catch (error) {
    home.release();
    throw error;
  }
}

function openDriver(
  config: Config,
  { command, model }: DriverCommand,
  log: Kernel["log"],
): LlmDriver {
  const { slots, slotTokens, threads, driverOptions } = config;
  const open: Open = { model, slots, slotTokens, threads, options: driverOptions };
  const limits = {
    restartLimit: DRIVER_RESTARTS,
    restartWindowUs: DRIVER_WINDOW_US,
    hangUs: DRIVER_HANG_US,
    openUs: DRIVER_OPEN_US,
  };
  return new LlmDriver({ command, open, ...limits }, systemClock, log);
}

/** A broken invariant: better no kernel than one that schedules wrongly. */
function broken(log: Kernel["log"], error: unknown): void {
  log.error({ err: error }, "the kernel's loop broke");
  throw error;
}

/** Makes the parts and joins them. Nothing runs yet. */
function assemble(
  config: Config,
  log: Kernel["log"],
  driver: LlmDriver,
  engine: Kernel["engine"],
): Kernel {
  const clock = systemClock;
  const journal = memoryJournal();
  const placer = new Placer(journal.state, {
    slotCount: engine.slots,
    chunkTokens: engine.chunkTokens,
  });
  const sched = new Scheduler({
    policy: policyOf(config),
    slots: engine.slots,
    quantum: config.quantum,
    reviewUs: AGING_US,
  });
  const parts = {
    config,
    clock,
    random: systemRandomness,
    log,
    journal,
    mail: new Mailboxes(),
    accounts: new Accounts(),
    driver,
    engine,
    sched,
    placer,
    admission: new Admission(engine.slots, config.queueLimit),
    loop: new Loop(sched, placer, driver, journal, clock),
    busyContexts: new Set<bigint>(),
    startedAt: clock.now(),
  };
  // The trap and the process table reach everything else through the kernel itself.
  const kernel = parts as typeof parts & { trap: Trap; procs: Processes };
  kernel.trap = new Trap(kernel);
  kernel.procs = new Processes(kernel);
  return kernel;
}

function policyOf(config: Config): Policy {
  return config.policy === "rr" ? roundRobin(config.quantum) : priority(config.quantum, AGING_US);
}

async function shutdown(kernel: Kernel, home: Home, door: GrpcDoor): Promise<void> {
  const { trap, procs, loop, driver, log, config, clock } = kernel;
  log.info({ inFlight: trap.busy }, "draining");
  door.serving(false);
  trap.drain();
  await drained(trap, clock, config.drainMs * 1000);
  trap.endAll(new ContixError("ESHUTDOWN", "the kernel is shutting down"));
  await procs.endAll(AGENT_GRACE_US);
  const looped = loop.stop();
  await driver.stop();
  await looped;
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
