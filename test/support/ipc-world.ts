/** What the tests of messages between processes share: a kernel without drivers, and its calls. */
import { namespaceGift } from "../../kernel/cap/births.js";
import type { Reply } from "../../proto/gen/contix/v1/kernel.js";
import { BareKernel, type CallName } from "./bare-kernel.js";

type Results = NonNullable<Reply["result"]>;
type ResultOf<N extends CallName> = Extract<Results, { $case: N }>["value"];

export class IpcWorld extends BareKernel {
  /** A process with its principal's namespace. */
  agent(principal = "alice"): bigint {
    return this.process({ principal, gifts: [namespaceGift(principal, ["*"])] });
  }

  /** Makes a call; resolves with its result, rejects with `ERRNO: message`. */
  async ask<N extends CallName>(
    pid: bigint,
    name: N,
    args: object = {},
    handle = 0,
  ): Promise<ResultOf<N>> {
    const { result } = await this.call(pid, name, args, handle);
    if (result?.$case === "error") throw new Error(`${result.value.name}: ${result.value.message}`);
    if (result?.$case !== name) throw new Error(`${name} was answered by ${result?.$case}`);
    return result.value as ResultOf<N>;
  }

  /** Opens an object by name; resolves with the handle. */
  async open(pid: bigint, type: string, name: string, more: object = {}): Promise<number> {
    return (await this.ask(pid, "open", { type, name, ...more })).handle;
  }

  /** The process ends. */
  end(pid: bigint): void {
    this.kernel.procs.exited(pid, 0, "exit");
  }

  /** Whether the promise has settled by now. */
  async settled(promise: Promise<unknown>): Promise<boolean> {
    let over = false;
    const note = (): void => {
      over = true;
    };
    promise.then(note, note);
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    return over;
  }
}

/** Bytes of a text. */
export const bytes = (text: string): Buffer => Buffer.from(text);
