/**
 * The bare driver: speaks the driver protocol (llm.proto) with a driver process of its own, as
 * the kernel does, but hands it whole plans and only listens. What it reaches is what a kernel
 * could reach at best.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Duplex } from "node:stream";
import { type FrameChannel, frames } from "../../proto/frame.js";
import {
  FromDriver,
  type Open,
  type Outcome,
  type Plan,
  type Ready,
  ToDriver,
} from "../../proto/gen/contix/driver/v1/llm.js";
import { withTimeout } from "./wait.js";

/** An outcome and when it reached us, milliseconds of `performance.now()`. */
export interface TimedOutcome {
  readonly atMs: number;
  readonly outcome: Outcome;
}

/** A plan without its id, which the client counts up. */
export type PlanBody = Omit<Plan, "id">;

interface Running {
  readonly id: bigint;
  readonly outcomes: TimedOutcome[];
  readonly resolve: (outcomes: TimedOutcome[]) => void;
  readonly reject: (error: Error) => void;
}

/** The protocol over a stream: one plan at a time. */
export class DriverClient {
  readonly #channel: FrameChannel<ToDriver>;
  readonly #texts = new Map<bigint, (tokens: number[] | Error) => void>();
  #ready: { resolve: (ready: Ready) => void; reject: (error: Error) => void } | undefined;
  #running: Running | undefined;
  #id = 0n;
  #closed: Error | undefined;

  constructor(stream: Duplex) {
    this.#channel = frames(
      stream,
      FromDriver,
      ToDriver,
      (message) => this.#receive(message),
      (error) => this.#fail(error ?? new Error("the driver closed its connection")),
    );
  }

  /** Loads the model. @throws Error with the driver's reason */
  open(value: Open): Promise<Ready> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed);
      this.#ready = { resolve, reject };
      this.#channel.send({ msg: { $case: "open", value } });
    });
  }

  /** The tokens of a text. */
  encode(text: string, start = true): Promise<number[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed);
      const id = ++this.#id;
      this.#texts.set(id, (tokens) => (tokens instanceof Error ? reject(tokens) : resolve(tokens)));
      const what = { $case: "encode", value: { text, special: false, start } } as const;
      this.#channel.send({ msg: { $case: "text", value: { id, what } } });
    });
  }

  /** Runs a plan to its end. @returns its outcomes, one a step */
  run(plan: PlanBody): Promise<TimedOutcome[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed);
      if (this.#running) return reject(new Error("a plan is running"));
      const id = ++this.#id;
      this.#running = { id, outcomes: [], resolve, reject };
      this.#channel.send({ msg: { $case: "plan", value: { id, ...plan } } });
    });
  }

  /** Asks the driver to end. */
  shutdown(): void {
    this.#channel.send({ msg: { $case: "shutdown", value: {} } });
  }

  #receive({ msg }: FromDriver): void {
    const atMs = performance.now();
    if (msg?.$case === "ready") this.#ready?.resolve(msg.value);
    else if (msg?.$case === "outcome") this.#outcome({ atMs, outcome: msg.value });
    else if (msg?.$case === "fault") this.#fail(new Error(`the driver: ${msg.value.message}`));
    else if (msg?.$case === "text") {
      const { id, tokens, error } = msg.value;
      this.#texts.get(id)?.(error === "" ? tokens : new Error(error));
      this.#texts.delete(id);
    }
  }

  #outcome(timed: TimedOutcome): void {
    const running = this.#running;
    if (running === undefined || timed.outcome.plan !== running.id) return;
    running.outcomes.push(timed);
    if (!timed.outcome.last) return;
    this.#running = undefined;
    running.resolve(running.outcomes);
  }

  #fail(error: Error): void {
    this.#closed ??= error;
    this.#ready?.reject(error);
    this.#running?.reject(error);
    for (const give of this.#texts.values()) give(error);
    this.#texts.clear();
  }
}

/** A driver process, its model loaded. */
export interface BareDriver extends AsyncDisposable {
  readonly client: DriverClient;
  readonly ready: Ready;
  readonly pid: number;
}

/** How a driver's process is made. */
export interface DriverProcess {
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Starts `entry` (a compiled driver's main.js) and loads a model. Its log goes to our standard
 * error.
 * @throws Error when it can not load the model
 */
export async function startDriver(
  entry: string,
  open: Open,
  { env = {} }: DriverProcess = {},
): Promise<BareDriver> {
  const child = spawn(process.execPath, [entry], {
    env: { ...process.env, ...env },
    stdio: ["ignore", process.stderr, process.stderr, "pipe"],
  });
  const stream = child.stdio[3];
  if (!(stream instanceof Duplex)) throw new Error("no stream to the driver");
  const client = new DriverClient(stream);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    const ready = await client.open(open);
    return {
      client,
      ready,
      pid: child.pid ?? 0,
      async [Symbol.asyncDispose]() {
        client.shutdown();
        await end(child, ended);
      },
    };
  } catch (cause) {
    await end(child, ended);
    const why = cause instanceof Error ? cause.message : cause;
    throw new Error(`${entry} did not get ready: ${why} (see its log above)`, { cause });
  }
}

async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  await withTimeout(ended, 10_000, "the driver's end").catch(() => child.kill("SIGKILL"));
  await ended;
}
