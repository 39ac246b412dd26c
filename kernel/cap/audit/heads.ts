/** Where heads are exported to, so that what happens to the log itself is found out elsewhere. */
import { appendFile } from "node:fs/promises";
import type { Log } from "../../log.js";

export type HeadSink = (line: string) => Promise<void>;

/** Appends each head to a file, which is opened each time: whoever rotates it need not tell. */
export function headFile(path: string): HeadSink {
  return (line) => appendFile(path, `${line}\n`, { mode: 0o600 });
}

/** Heads that wait for a slow sink at most. Each vouches for all before it, so the last one is enough. */
const WAITING = 256;

interface Export {
  readonly sink: HeadSink;
  readonly waiting: string[];
  failing: boolean;
  work: Promise<void> | undefined;
}

/** Hands heads to their sinks, each in order, and keeps nobody waiting for them. */
export class HeadExport {
  readonly #log: Log;
  readonly #exports: Export[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  /** From now on heads go there too. */
  add(sink: HeadSink): void {
    this.#exports.push({ sink, waiting: [], failing: false, work: undefined });
  }

  head(line: string): void {
    for (const to of this.#exports) {
      to.waiting.push(line);
      if (to.waiting.length > WAITING) to.waiting.shift();
      to.work ??= this.#work(to);
    }
  }

  /** Resolves when each sink has taken, or refused, what it was given. */
  async flush(): Promise<void> {
    await Promise.all(this.#exports.map(({ work }) => work));
  }

  async #work(to: Export): Promise<void> {
    for (let line = to.waiting.shift(); line !== undefined; line = to.waiting.shift()) {
      try {
        await to.sink(line);
        to.failing = false;
      } catch (error) {
        if (!to.failing) this.#log.error({ err: error }, "audit heads can not be exported");
        to.failing = true;
      }
    }
    to.work = undefined;
  }
}
