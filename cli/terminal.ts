/** Manners on a terminal and in a pipe: Ctrl-C, a closed pipe, what may be redrawn. */
import { CliError, EXIT_FAILED, EXIT_INTERRUPTED, exitCodeOf } from "./errors.js";

let onClosedPipe = (): void => process.exit(0);

/** `contix … | head`: a reader that has enough is not an error. A full disk is one, and said. */
export function ignoreClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") return onClosedPipe();
      if (stream === process.stdout) remark(`contix: cannot write the output: ${error.message}`);
      process.exit(EXIT_FAILED);
    });
  }
}

/** For work that must tidy up before it ends: `handler` instead of the exit, until the result is called. */
export function whenPipeCloses(handler: () => void): () => void {
  const before = onClosedPipe;
  onClosedPipe = handler;
  return () => {
    onClosedPipe = before;
  };
}

/**
 * Runs `work` with a signal that the first Ctrl-C (or TERM, or hang-up) aborts, so that it can
 * tidy up; a second one ends the process at once.
 *
 * @param left what is said when it gave way: what became of the work; default: nothing.
 * @throws what `work` throws; an AbortError, or with `left` a CliError, when it gave way to the
 * signal.
 */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  left?: string,
): Promise<T> {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of signals) process.on(name, onSignal);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (left === undefined || exitCodeOf(error) !== EXIT_INTERRUPTED) throw error;
    throw new CliError(`interrupted: ${left}`, EXIT_INTERRUPTED, { cause: error });
  } finally {
    for (const name of signals) process.off(name, onSignal);
  }
}

/** Waits `ms`, or less when `signal` is aborted. Never throws. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Whether stdout is a terminal whose lines can be drawn over. */
export function isLive(): boolean {
  return process.stdout.isTTY === true && process.env.TERM !== "dumb";
}

/** One JSON value a line on stdout. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** One line on stdout. */
export function print(line = ""): void {
  process.stdout.write(`${line}\n`);
}

/** A remark beside the output: on stderr, so that a script's pipe stays clean. */
export function remark(line: string): void {
  process.stderr.write(`${line}\n`);
}
