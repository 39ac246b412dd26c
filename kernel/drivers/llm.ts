/**
 * The kernel's side of an LLM driver: a child process on a private socket (its
 * file descriptor 3). It runs from `start` to `stop`, as often as that is asked
 * for, and is started again when it dies in between; text requests survive that,
 * plans do not: the loop hears of the loss and places everything anew.
 */
import { ContixError } from "../../proto/errno.js";
import type {
  FromDriver,
  Plan,
  Ready,
  TextReply,
  TextRequest,
} from "../../proto/gen/contix/driver/v1/llm.js";
import type { Clock } from "../clock.js";
import type { Log } from "../log.js";
import type { PlanRunner, RunResult } from "../sched/loop.js";
import { Deaths } from "./deaths.js";
import { type DriverOptions, type DriverState, sameEngine } from "./driver-options.js";
import { DriverProcess } from "./driver-process.js";
import { Latch } from "./latch.js";
import { RunResults } from "./run-results.js";
import { Texts } from "./texts.js";

/** How long a driver that kept dying is left alone, microseconds. */
const GIVEN_UP_US = 30_000_000;

export class LlmDriver implements PlanRunner {
  readonly #options: DriverOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  #process: DriverProcess | undefined;
  /** Set once `#process` was asked to end: its words do not count, its end is no death. */
  #ending = false;
  #ready: Ready | undefined;
  /** What the first driver said of its engine: every later one must be the same. */
  #engine: Ready | undefined;
  /** Between `start` and `stop`. */
  #wanted = false;
  #closed = false;
  #failed: ContixError | undefined;
  #activePlan = 0n;
  #restarts = 0;
  #fault = "";
  #cancelWatch: () => void = () => {};
  #cancelRestart: () => void = () => {};
  readonly #results = new RunResults();
  readonly #texts = new Texts();
  readonly #deaths: Deaths;
  /** Opens when plans can be run, or never again. */
  readonly #up = new Latch<void>();
  readonly #started = new Latch<Ready>();
  readonly #gone = new Latch<void>();
  /** Called when `state` may have changed. */
  onState: () => void = () => {};

  constructor(options: DriverOptions, clock: Clock, log: Log) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#deaths = new Deaths(options);
  }

  get restarts(): number {
    return this.#restarts;
  }
  get osPid(): number {
    return this.#process?.osPid ?? 0;
  }
  get state(): DriverState {
    if (this.#failed) return "failed";
    if (this.#ready) return "running";
    return this.#wanted ? "starting" : "stopped";
  }
  /** Set while the driver is given up: what every burst then fails with. */
  get failure(): ContixError | undefined {
    return this.#failed;
  }

  /** A driver may find less room for its swap file than the one before it. */
  get room(): Ready | undefined {
    return this.#ready;
  }

  /** Starts it, unless it runs; resolves when it is ready. Rejects with EIO when it can not be started. */
  start(): Promise<Ready> {
    if (this.#failed) return Promise.reject(this.#failed);
    if (this.#ready) return Promise.resolve(this.#ready);
    const started = this.#started.wait();
    if (!this.#wanted) {
      this.#wanted = true;
      // One that is still ending is waited for: it has the memory that the next one needs.
      if (!this.#process) this.#spawn();
      this.onState();
    }
    return started;
  }

  up(): Promise<void> {
    if (this.#ready || this.#failed || this.#closed) return Promise.resolve();
    return this.#up.wait();
  }

  /**
   * Puts `plan` in force, unless it is already, and resolves when there is
   * something to account or a reason to plan again.
   */
  run(plan: Plan): Promise<RunResult> {
    if (plan.id !== this.#activePlan && this.#ready) {
      this.#process?.send({ $case: "plan", value: plan });
      this.#activePlan = plan.id;
      if (plan.rows.length + plan.chunks.length > 0) this.#watch(this.#options.hangUs);
      else this.#cancelWatch();
    }
    return this.#results.next();
  }

  /** Makes a pending or the next `run` return at once. */
  wake(): void {
    this.#results.wake();
  }

  /**
   * Tokens for text, of a driver that was started. Rejects with EINVAL when the text
   * server refuses it, EAGAIN when too much waits.
   */
  async text(what: NonNullable<TextRequest["what"]>): Promise<number[]> {
    return (await this.ask(what)).tokens;
  }

  /** The same, with all that the text server answers. */
  async ask(what: NonNullable<TextRequest["what"]>): Promise<TextReply> {
    if (this.#failed) throw this.#failed;
    const { request, reply } = this.#texts.add(what);
    if (this.#ready) {
      this.#texts.sent(request.id);
      this.#process?.send({ $case: "text", value: request });
    }
    return reply;
  }

  /** Ends the process: it finishes its step; killed after `graceUs`. What was in its slots is gone. */
  async stop(graceUs = 3_000_000): Promise<void> {
    this.#wanted = false;
    this.#cancelWatch();
    this.#cancelRestart();
    this.#unready();
    this.#started.reject(new ContixError("EIO", `${this.#name} was stopped while it started`));
    const ending = this.#process;
    if (ending) {
      this.#ending = true;
      const gone = this.#gone.wait();
      ending.send({ $case: "shutdown", value: {} });
      const cancel = this.#clock.after(graceUs, () => ending.kill());
      await gone;
      cancel();
    }
    this.onState();
  }

  /** Stops it for good: whoever waits for it to be up waits no more. */
  close(graceUs?: number): Promise<void> {
    this.#closed = true;
    this.#up.resolve();
    return this.stop(graceUs);
  }

  get #name(): string {
    return `the LLM driver of ${this.#options.model}`;
  }

  #spawn(): void {
    this.#fault = "";
    const { command, open, openUs } = this.#options;
    const events = {
      // What a driver left in the socket is not its successor's word.
      message: (message: FromDriver) => {
        if (this.#process === started && !this.#ending) this.#receive(message);
      },
      gone: (how: string, killed: boolean) => {
        if (this.#process === started) this.#ended(how, killed);
      },
    };
    const started = new DriverProcess(command, events, this.#log);
    this.#process = started;
    this.#watch(openUs);
    started.send({ $case: "open", value: open });
  }

  #receive(message: FromDriver): void {
    const { msg } = message;
    if (msg?.$case === "outcome") {
      // The end of a plan says nothing of the one that was sent meanwhile.
      if (!msg.value.last) this.#watch(this.#options.hangUs);
      else if (msg.value.plan === this.#activePlan) this.#cancelWatch();
      this.#results.outcome(msg.value);
    } else if (msg?.$case === "pages") {
      this.#results.pages(msg.value.done);
    } else if (msg?.$case === "text") {
      this.#texts.answer(msg.value);
    } else if (msg?.$case === "ready") {
      this.#becameReady(msg.value);
    } else if (msg?.$case === "fault") {
      this.#fault = msg.value.message;
      this.#log.error({ model: this.#options.model, fault: this.#fault }, "driver fault");
    }
  }

  #becameReady(ready: Ready): void {
    this.#cancelWatch();
    this.#engine ??= ready;
    if (!sameEngine(this.#engine, ready)) {
      const message = `${this.#name} came back with another engine (${ready.engineDigest}); start the daemon again`;
      this.#giveUp(new ContixError("EXDEV", message));
      this.#process?.kill();
      return;
    }
    this.#ready = ready;
    const { model } = this.#options;
    this.#log.info({ driver: ready.driver, model, pid: this.osPid }, "driver ready");
    for (const request of this.#texts.forNewDriver()) {
      this.#process?.send({ $case: "text", value: request });
    }
    this.#started.resolve(ready);
    this.#up.resolve();
    this.wake();
    this.onState();
  }

  #ended(how: string, killed: boolean): void {
    const asked = this.#ending;
    this.#process = undefined;
    this.#ending = false;
    this.#cancelWatch();
    this.#unready();
    this.#gone.resolve();
    if (asked && this.#wanted) this.#spawn();
    if (asked || this.#failed) return;
    const reason = this.#fault === "" ? how : `${how}: ${this.#fault}`;
    this.#log.error({ model: this.#options.model, reason }, "driver died");
    // One that never was ready and was not killed will not be ready next time either.
    if (!this.#engine && (!killed || this.#fault !== "")) {
      this.#refuseStart(reason);
      return;
    }
    this.#restart(reason);
  }

  #refuseStart(reason: string): void {
    this.#wanted = false;
    this.#started.reject(new ContixError("EIO", `${this.#name} did not start: ${reason}`));
    this.onState();
  }

  #restart(reason: string): void {
    const delayUs = this.#deaths.next(this.#clock.now());
    if (delayUs === undefined) {
      const times = `${this.#deaths.count} times in ${this.#options.restartWindowUs / 1e6} s`;
      const message = `${this.#name} died ${times}, last: ${reason}`;
      this.#giveUp(new ContixError("EIO", message, { retryAfterUs: GIVEN_UP_US }));
      this.#clock.after(GIVEN_UP_US, () => this.#tryAgain());
      return;
    }
    this.#restarts++;
    this.#cancelRestart = this.#clock.after(delayUs, () => this.#spawn());
    this.onState();
  }

  /** What killed the driver may be over: calls are admitted again, and find out. */
  #tryAgain(): void {
    if (this.#closed) return;
    this.#failed = undefined;
    this.#deaths.forget();
    if (this.#wanted) this.#spawn();
    this.onState();
  }

  #giveUp(error: ContixError): void {
    this.#failed = error;
    this.#log.error({ err: error.message }, "driver given up");
    this.#texts.failAll(error);
    this.#started.reject(error);
    this.#up.resolve();
    this.wake();
    this.onState();
  }

  /** It serves no more, and what was in its slots is lost. */
  #unready(): void {
    if (!this.#ready) return;
    this.#ready = undefined;
    this.#activePlan = 0n;
    this.#results.lost();
  }

  /** Kills the driver unless it says something within `us`. */
  #watch(us: number): void {
    this.#cancelWatch();
    this.#cancelWatch = this.#clock.after(us, () => {
      this.#fault = `it said nothing for ${us / 1e6} s`;
      this.#log.error({ model: this.#options.model }, "driver hangs; killing it");
      this.#process?.kill();
    });
  }
}
