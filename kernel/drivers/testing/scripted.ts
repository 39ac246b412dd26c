/** Scripted driver processes, and a clock whose timers run when told to, for tests. */
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** A clock whose timers run when told to. */
export class Timers {
  time = 0;
  readonly armed = new Map<() => void, number>();
  now = (): number => this.time;
  wall = (): number => 0;
  after = (us: number, fn: () => void): (() => void) => {
    // What is due at once needs no telling.
    if (us === 0) setImmediate(fn);
    else this.armed.set(fn, us);
    return () => void this.armed.delete(fn);
  };
  get waiting(): number[] {
    return [...this.armed.values()];
  }
  /** Runs those that wait for `us`; without it all. */
  fire(us?: number): void {
    for (const [fn, span] of [...this.armed]) {
      if (us !== undefined && span !== us) continue;
      this.armed.delete(fn);
      fn();
    }
  }
}

/** The command of a driver process that does `body` with each message `msg`; `send` answers. */
export function scriptedCommand(body: string): string[] {
  const program = `
    import { Socket } from "node:net";
    import { frames } from "${root}dist/proto/frame.js";
    import { FromDriver, ToDriver } from "${root}dist/proto/gen/contix/driver/v1/llm.js";
    const ready = (over = {}) => ({ msg: { $case: "ready", value: { engineDigest: "d", model: "m",
      slots: 1, slotTokens: 64, vocab: 9, chat: false, license: "", driver: "fake", chunkTokens: 8,
      pageBytes: 0, frames: 0, blocks: 0, oneWay: false, ...over } } });
    const socket = new Socket({ fd: 3 });
    const channel = frames(socket, ToDriver, FromDriver, ({ msg }) => {
      if (msg.$case === "shutdown") process.exit(0);
      on(msg, (message) => channel.send(message));
    }, () => process.exit(0));
    const outcome = (plan, last) => ({ msg: { $case: "outcome", value: { plan, step: 0, steps: 1, stepUs: 1, last, rows: [] } } });
    function on(msg, send) { ${body} }`;
  return [process.execPath, "--input-type=module", "-e", program];
}
