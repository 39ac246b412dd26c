/** Programs of the benchmark: processes of their own that are told things, and tell. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { systemClock } from "../../kernel/clock.js";
import { Priorities } from "../../kernel/proc/priority.js";
import { inCheckout } from "./root.js";
import { withTimeout } from "./wait.js";

/** How long a process may take to be ready, when all processors are busy starting others. */
const START_MS = 120_000;
/** Processes that are started at once: more would only wait for each other. */
const AT_ONCE = 4;
const priorities = new Priorities(systemClock);

export class Forked implements AsyncDisposable {
  readonly #child: ChildProcess;
  /** The first thing it said, when it was ready. */
  readonly greeting: unknown;

  private constructor(child: ChildProcess, greeting: unknown) {
    this.#child = child;
    this.greeting = greeting;
  }

  /** @param path of a compiled program below bench/ @param settings its argument, as JSON */
  static async start(path: string, settings: object): Promise<Forked> {
    return Forked.#greeted(fork(inCheckout("dist", "bench", path), [JSON.stringify(settings)]));
  }

  /** Starts it with the OS priority, and in a session of its own, as an agent that the kernel spawns. */
  static async startAgent(path: string, settings: object): Promise<Forked> {
    const program = inCheckout("dist", "bench", path);
    const child = fork(program, [JSON.stringify(settings)], { detached: true });
    if (child.pid !== undefined) priorities.lower(child.pid);
    return Forked.#greeted(child);
  }

  static async #greeted(child: ChildProcess): Promise<Forked> {
    return new Forked(child, await hear(child, START_MS));
  }

  /** Starts `count` agents. */
  static async group(count: number, path: string, settings: object): Promise<Forked[]> {
    const programs: Forked[] = [];
    let left = count;
    const starter = async (): Promise<void> => {
      while (left-- > 0) programs.push(await Forked.startAgent(path, settings));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, starter));
    return programs;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  tell(message: object): void {
    this.#child.send(message);
  }

  /** Its next message. @throws Error when it ends, or says nothing for `ms` */
  hear(ms: number): Promise<unknown> {
    return hear(this.#child, ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#child, "exit");
    if (this.#child.connected) this.#child.disconnect();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await gone;
  }
}

async function hear(child: ChildProcess, ms: number): Promise<unknown> {
  const enough = new AbortController();
  const { signal } = enough;
  const ended = once(child, "exit", { signal }).then(([code]) => {
    throw new Error(`${child.spawnargs[1]} ended with ${code}`);
  });
  ended.catch(() => undefined);
  try {
    const heard = once(child, "message", { signal });
    heard.catch(() => undefined);
    const [message] = await withTimeout(Promise.race([heard, ended]), ms, "a message");
    return message;
  } finally {
    enough.abort();
  }
}
