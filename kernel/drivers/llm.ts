/**
 * The kernel's side of an LLM driver: a child process on a private socket (its
 * file descriptor 3). It is started again when it dies; text requests survive
 * that, plans do not: the loop hears of the loss and places everything anew.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { ContixError } from "../../proto/errno.js";
import { type FrameChannel, frames } from "../../proto/frame.js";
import {
  FromDriver,
  type Open,
  type Plan,
  type Ready,
  type TextRequest,
  ToDriver,
} from "../../proto/gen/contix/driver/v1/llm.js";
import type { Clock } from "../clock.js";
import type { Log } from "../log.js";
import type { PlanRunner, RunResult } from "../sched/loop.js";
import { RunResults } from "./run-results.js";
import { Texts } from "./texts.js";

export interface DriverOptions {
  /** The command line that starts the driver. */
  readonly command: readonly string[];
  readonly open: Open;
  /** Deaths within `restartWindowUs` after which it is given up. */
  readonly restartLimit: number;
  readonly restartWindowUs: number;
  /** A step that takes longer than this means the driver hangs; it is killed. */
  readonly hangUs: number;
  /** So long may it take to become ready. */
  readonly openUs: number;
}

/** How long a driver that kept dying is left alone, microseconds. */
const GIVEN_UP_US = 30_000_000;

export class LlmDriver implements PlanRunner {
  readonly #options: DriverOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  #child: ChildProcess | undefined;
  #channel: FrameChannel<ToDriver> | undefined;
  #ready: Ready | undefined;
  /** What the first driver said of its engine: every later one must be the same. */
  #engine: Ready | undefined;
  readonly #results = new RunResults();
  #activePlan = 0n;
  #stopping = false;
  #failed: ContixError | undefined;
  #deaths: number[] = [];
  #restarts = 0;
  #fault = "";
  #cancelWatch: () => void = () => {};
  readonly #texts = new Texts();
  #onUp: () => void = () => {};
  #onFirstReady: { resolve(ready: Ready): void; reject(error: Error): void } | undefined;

  constructor(options: DriverOptions, clock: Clock, log: Log) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
  }

  get restarts(): number {
    return this.#restarts;
  }
  get osPid(): number {
    return this.#child?.pid ?? 0;
  }
  get available(): boolean {
    return this.#ready !== undefined;
  }
  /** Set while the driver is given up: what every burst then fails with. */
  get failure(): ContixError | undefined {
    return this.#failed;
  }

  /** Starts the driver; resolves when it is ready. Rejects with EIO when it ends before that. */
  start(): Promise<Ready> {
    return new Promise((resolve, reject) => {
      this.#onFirstReady = { resolve, reject };
      this.#spawn();
    });
  }

  /** Resolves when plans can be run, or when that will never be again (see `failure`). */
  up(): Promise<void> {
    if (this.#ready || this.#failed || this.#stopping) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onUp = resolve;
    });
  }

  /**
   * Puts `plan` in force, unless it is already, and resolves when there is
   * something to account or a reason to plan again.
   */
  run(plan: Plan): Promise<RunResult> {
    if (plan.id !== this.#activePlan && this.#ready) {
      this.#send({ msg: { $case: "plan", value: plan } });
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

  /** Tokens for text. Rejects with EINVAL when the text server refuses it, EAGAIN when too much waits. */
  async text(what: NonNullable<TextRequest["what"]>): Promise<number[]> {
    if (this.#failed) throw this.#failed;
    const { request, tokens } = this.#texts.add(what);
    if (this.#ready) {
      this.#texts.sent(request.id);
      this.#send({ msg: { $case: "text", value: request } });
    }
    return tokens;
  }

  /** Ends the driver: it finishes its step; killed after `graceUs`. */
  async stop(graceUs = 3_000_000): Promise<void> {
    this.#stopping = true;
    this.#onUp();
    this.#cancelWatch();
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    this.#send({ msg: { $case: "shutdown", value: {} } });
    const cancel = this.#clock.after(graceUs, () => child.kill("SIGKILL"));
    await gone;
    cancel();
  }

  #spawn(): void {
    const [program = "", ...args] = this.#options.command;
    this.#fault = "";
    const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "pipe"] });
    this.#child = child;
    child.once("error", (error) => this.#died(child, error.message));
    // Not "exit": what it said last, its fault above all, is still to be read then.
    child.once("close", (code, signal) => this.#died(child, signal ?? `exit code ${code}`));
    // Without file descriptors to spare it has none; "error" follows.
    const socket = child.stdio?.[3] as Duplex | undefined;
    if (!socket) return;
    this.#channel = frames(
      socket,
      FromDriver,
      ToDriver,
      (message) => {
        // What a dead driver left in the socket is not its successor's word.
        if (this.#child === child) this.#receive(message);
      },
      (error) => {
        if (error) this.#log.warn({ err: error.message }, "driver connection broke");
        child.kill("SIGKILL");
      },
    );
    this.#watch(this.#options.openUs);
    this.#channel.send({ msg: { $case: "open", value: this.#options.open } });
  }

  #receive(message: FromDriver): void {
    const { msg } = message;
    if (msg?.$case === "outcome") {
      // The end of a plan says nothing of the one that was sent meanwhile.
      if (!msg.value.last) this.#watch(this.#options.hangUs);
      else if (msg.value.plan === this.#activePlan) this.#cancelWatch();
      this.#results.outcome(msg.value);
    } else if (msg?.$case === "text") {
      this.#texts.answer(msg.value);
    } else if (msg?.$case === "ready") {
      this.#becameReady(msg.value);
    } else if (msg?.$case === "fault") {
      this.#fault = msg.value.message;
      this.#log.error({ fault: this.#fault }, "driver fault");
    }
  }

  #becameReady(ready: Ready): void {
    this.#cancelWatch();
    this.#engine ??= ready;
    if (!sameEngine(this.#engine, ready)) {
      const message = `the LLM driver came back with another engine (${ready.engineDigest}); start the daemon again`;
      this.#giveUp(new ContixError("EXDEV", message));
      this.#child?.kill("SIGKILL");
      return;
    }
    this.#ready = ready;
    this.#log.info({ driver: ready.driver, model: ready.model, pid: this.osPid }, "driver ready");
    for (const request of this.#texts.forNewDriver()) {
      this.#send({ msg: { $case: "text", value: request } });
    }
    this.#onFirstReady?.resolve(ready);
    this.#onFirstReady = undefined;
    this.#onUp();
    this.wake();
  }

  #died(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#ready = undefined;
    this.#channel = undefined;
    this.#activePlan = 0n;
    this.#cancelWatch();
    if (this.#stopping || this.#failed) return;
    const reason = this.#fault === "" ? how : `${how}: ${this.#fault}`;
    this.#log.error({ reason }, "driver died");
    this.#results.lost();
    if (this.#onFirstReady) {
      this.#giveUp(new ContixError("EIO", `the LLM driver did not start: ${reason}`));
      return;
    }
    this.#restart(reason);
  }

  #restart(reason: string): void {
    const now = this.#clock.now();
    const { restartLimit, restartWindowUs } = this.#options;
    this.#deaths = [...this.#deaths.filter((at) => now - at < restartWindowUs), now];
    if (this.#deaths.length > restartLimit) {
      const times = `${this.#deaths.length} times in ${restartWindowUs / 1e6} s`;
      const message = `the LLM driver died ${times}, last: ${reason}`;
      this.#giveUp(new ContixError("EIO", message, { retryAfterUs: GIVEN_UP_US }));
      this.#clock.after(GIVEN_UP_US, () => this.#tryAgain());
      return;
    }
    this.#restarts++;
    // At once after a first death, then ever later: 0, 200, 400, 800 ms ...
    const tries = this.#deaths.length - 1;
    const delayUs = tries === 0 ? 0 : 100_000 * 2 ** tries;
    this.#clock.after(delayUs, () => {
      if (!this.#stopping) this.#spawn();
    });
  }

  /** What killed the driver may be over: calls are admitted again, and find out. */
  #tryAgain(): void {
    if (this.#stopping) return;
    this.#failed = undefined;
    this.#deaths = [];
    this.#spawn();
  }

  #giveUp(error: ContixError): void {
    this.#failed = error;
    this.#log.error({ err: error.message }, "driver given up");
    this.#texts.failAll(error);
    this.#onFirstReady?.reject(error);
    this.#onFirstReady = undefined;
    this.#onUp();
    this.wake();
  }

  /** Kills the driver unless it says something within `us`. */
  #watch(us: number): void {
    this.#cancelWatch();
    this.#cancelWatch = this.#clock.after(us, () => {
      this.#fault = `it said nothing for ${us / 1e6} s`;
      this.#log.error({}, "driver hangs; killing it");
      this.#child?.kill("SIGKILL");
    });
  }

  #send(message: ToDriver): void {
    this.#channel?.send(message);
  }
}

/** Whether contexts may go on under `b` as they were under `a` (law 2). */
function sameEngine(a: Ready, b: Ready): boolean {
  return (
    a.engineDigest === b.engineDigest &&
    a.slots === b.slots &&
    a.slotTokens === b.slotTokens &&
    a.vocab === b.vocab
  );
}
