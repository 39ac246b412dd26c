/**
 * A model that is served: its driver is started by the first call that needs it,
 * and stopped when nobody has used it for a while. Whoever works with the model
 * holds it meanwhile. Its contexts outlive the driver: what was in its slots is
 * rebuilt from their tokens (law 3).
 */

import { ContixError } from "../../proto/errno.js";
import type { Call } from "../call.js";
import type { DriverState } from "../drivers/driver-options.js";
import { LlmDriver } from "../drivers/llm.js";
import type { Log } from "../log.js";
import { Admission } from "../sched/admission.js";
import { type Engine, type EngineParts, makeEngine } from "./engine.js";
import type { DriverSpec, ModelLibrary } from "./library.js";
import { pageRoom } from "./page-room.js";

export interface ServedModelParts extends EngineParts {
  readonly log: Log;
  readonly library: ModelLibrary;
  /** After so long without use its driver is stopped, microseconds; 0: never. */
  readonly idleUs: number;
  /** Frees memory for a driver, by stopping others. ENOMEM, EAGAIN. */
  readonly makeRoom: (model: ServedModel, bytes: number) => Promise<void>;
  /** Hears that a loop broke: the kernel can not go on. */
  readonly onBroken: (error: unknown) => void;
  /** Hears that the state may have changed. */
  readonly onState: (model: ServedModel) => void;
}

const RESTARTS = { restartLimit: 5, restartWindowUs: 600_000_000 };
const HANG_US = 30_000_000;
/** Loading a large model from a cold disk takes its time. */
const OPEN_US = 300_000_000;
/** So long whoever asks for a model that could not be started gets the same answer. */
const REFUSED_US = 5_000_000;

export class ServedModel {
  readonly name: string;
  readonly admission: Admission;
  /** Bytes set aside for its driver; 0 while it has none. */
  memory = 0;
  lastUsed = 0;
  readonly #parts: ServedModelParts;
  #spec: DriverSpec | undefined;
  #driver: LlmDriver | undefined;
  #engine: Engine | undefined;
  #starting: Promise<Engine> | undefined;
  #resting: Promise<void> | undefined;
  /** Why it could not be started a while ago. */
  #refused: ContixError | undefined;
  #holds = 0;
  #timing = false;

  constructor(name: string, parts: ServedModelParts) {
    this.name = name;
    this.#parts = parts;
    this.admission = new Admission(parts.config.slots, parts.config.queueLimit);
  }

  /** Its engine, once its driver has been ready. */
  get engine(): Engine | undefined {
    return this.#engine;
  }
  get driver(): Pick<LlmDriver, "osPid" | "restarts"> {
    return this.#driver ?? { osPid: 0, restarts: 0 };
  }
  /** Bytes that its driver takes when it runs; 0: not known yet. */
  get needs(): number {
    return this.#spec?.memory ?? 0;
  }
  get idle(): boolean {
    return this.#holds === 0 && !this.#starting;
  }
  get state(): DriverState {
    if (this.failure) return "failed";
    return this.#starting ? "starting" : (this.#driver?.state ?? "stopped");
  }
  /** Why calls on it fail now, if they do. */
  get failure(): ContixError | undefined {
    return this.#driver?.failure ?? this.#refused;
  }

  /** While it is held its driver is not stopped, whatever else needs memory. */
  hold(): Disposable {
    this.#holds++;
    this.lastUsed = this.#parts.clock.now();
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#holds--;
        this.lastUsed = this.#parts.clock.now();
        this.#watchIdle(this.#parts.idleUs);
      },
    };
  }

  /**
   * The engine with its driver running, for a call that holds the model; the call
   * waits for it where it must. EMODEL, EIO, ENOMEM, EAGAIN; ECANCELED when the
   * call ended meanwhile.
   */
  async upFor(call: Call): Promise<Engine> {
    if (this.#driver?.state !== "running") call.waitingOn = "model";
    const engine = await this.up();
    call.waitingOn = "";
    call.check();
    return engine;
  }

  /** The same, for whoever is no call. */
  up(): Promise<Engine> {
    if (this.#engine && this.#driver?.state === "running") return Promise.resolve(this.#engine);
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
      this.#watchIdle(this.#parts.idleUs);
      this.#parts.onState(this);
    });
    return this.#starting;
  }

  /** Stops the driver and, when it is gone, gives its memory back. */
  rest(): Promise<void> {
    this.#resting ??= this.#rest().finally(() => {
      this.#resting = undefined;
    });
    return this.#resting;
  }

  /** Stops everything, for good. */
  async close(): Promise<void> {
    const looped = this.#engine?.loop.stop();
    await this.#driver?.close();
    await looped;
  }

  async #rest(): Promise<void> {
    await this.#driver?.stop();
    this.memory = 0;
  }

  async #start(): Promise<Engine> {
    // Its memory is promised to another, perhaps: it is asked for anew.
    await this.#resting;
    if (this.failure) throw this.failure;
    const { library, makeRoom } = this.#parts;
    try {
      this.#spec ??= await library.prepare(this.name);
    } catch (error) {
      throw this.#refuse(error);
    }
    // A driver that died and is being started again has its memory still.
    if (this.memory === 0) await makeRoom(this, this.#spec.memory);
    this.#driver ??= this.#makeDriver(this.#spec);
    try {
      const ready = await this.#driver.start();
      this.#engine ??= this.#makeEngine(ready, this.#driver);
      return this.#engine;
    } catch (error) {
      if (this.#engine) throw error;
      // It never ran: the next try begins from nothing.
      void this.#driver?.close();
      this.#driver = undefined;
      this.#spec = undefined;
      this.memory = 0;
      throw this.#refuse(error);
    }
  }

  #makeDriver({ command, model, pageMemory }: DriverSpec): LlmDriver {
    const { config, clock, log, onState } = this.#parts;
    const { slots, slotTokens, threads, driverOptions, speculate: lookup } = config;
    const pages = pageRoom(config, this.name, pageMemory);
    const open = { model, slots, slotTokens, threads, options: driverOptions, lookup, ...pages };
    const limits = { ...RESTARTS, hangUs: HANG_US, openUs: OPEN_US };
    const driver = new LlmDriver({ model: this.name, command, open, ...limits }, clock, log);
    driver.onState = () => onState(this);
    return driver;
  }

  #makeEngine(ready: Engine["ready"], driver: LlmDriver): Engine {
    const engine = makeEngine(this.name, ready, driver, this.#parts);
    engine.loop.start(this.#parts.onBroken);
    return engine;
  }

  #refuse(error: unknown): ContixError {
    const { clock, log } = this.#parts;
    log.error({ model: this.name, err: error }, "model not started");
    const typed =
      error instanceof ContixError
        ? error
        : new ContixError("EIO", `the model ${this.name} can not be started; see the log`);
    this.#refused = typed;
    clock.after(REFUSED_US, () => {
      this.#refused = undefined;
      this.#parts.onState(this);
    });
    return typed;
  }

  /** Stops the driver when `us` have passed without use. One timer a model, not one a call. */
  #watchIdle(us: number): void {
    const { clock, idleUs, log } = this.#parts;
    if (this.#timing || idleUs === 0 || !this.idle) return;
    this.#timing = true;
    clock.after(us, () => {
      this.#timing = false;
      if (!this.idle || this.memory === 0) return;
      const left = this.lastUsed + idleUs - clock.now();
      if (left > 0) {
        this.#watchIdle(left);
        return;
      }
      log.info({ model: this.name }, "model idle; its driver is stopped");
      void this.rest();
    });
  }
}
