/** One call that was sent and has not been answered yet. */
import type { Chunk, Reply, Syscall, Usage } from "../../proto/gen/contix/v1/kernel.js";
import { ConnectionError, syscallError } from "../errors.js";
import { encodeFrame, type FrameBytes } from "./link.js";

type AnyCall = NonNullable<Syscall["call"]>;
type AnyResult = NonNullable<Reply["result"]>;

/** A row of the syscall table, by its name in the ABI. */
export type CallName = AnyCall["$case"];
export type Args<K extends CallName> = Extract<AnyCall, { $case: K }>["value"];
export type Result<K extends CallName> = Extract<AnyResult, { $case: K }>["value"];

export interface Answer<K extends CallName> {
  readonly value: Result<K>;
  readonly usage: Usage | undefined;
}

export interface CallSpec<K extends CallName> {
  readonly name: K;
  readonly args: Args<K>;
  /** The object the call is on; 0 or missing when there is none. */
  readonly handle?: number;
  readonly timeoutMs?: number | undefined;
  /** Takes each chunk that has text; a call that has it is a stream. */
  readonly onChunk?: ((chunk: Chunk) => void) | undefined;
  /** Hears how far a prefill is, tokens, when the arguments ask for it. */
  readonly onProgress?: ((tokens: number, of: number) => void) | undefined;
  /** Chunks the kernel may send before the first grant. */
  readonly credit?: number;
}

/** How long a cancelled call waits for the kernel's last word on it, milliseconds. */
const CANCEL_GRACE_MS = 2_000;

/**
 * Holds a call's frame, which is repeated as it is after a reconnect, and its
 * promise. The promise may be settled before the reply comes (a broken stream,
 * a kernel that does not answer a cancel); the call then stays pending, without
 * a reader, until its reply can be acknowledged.
 */
export class Pending<K extends CallName> {
  readonly answer: Promise<Answer<K>>;
  #resolve: (answer: Answer<K>) => void = () => undefined;
  #reject: (reason: unknown) => void = () => undefined;
  #cancelled: { readonly reason: unknown } | undefined;
  #grace: NodeJS.Timeout | undefined;
  #settled = false;

  constructor(
    readonly seq: number,
    readonly frame: FrameBytes,
    readonly name: K,
    readonly onChunk?: (chunk: Chunk) => void,
    readonly onProgress?: (tokens: number, of: number) => void,
  ) {
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get cancelFrame(): FrameBytes {
    return encodeFrame({ $case: "cancel", value: { seq: BigInt(this.seq) } });
  }

  /** Nobody wants the result any more: the kernel should stop. */
  get unwanted(): boolean {
    return this.#cancelled !== undefined || this.#settled;
  }

  chunk(chunk: Chunk): void {
    if (!this.#settled) this.onChunk?.(chunk);
  }

  progress(tokens: number, of: number): void {
    if (!this.#settled) this.onProgress?.(tokens, of);
  }

  /**
   * Asks for the end of the call. It is over when the kernel says so: then its
   * object is idle again, and an effect that came first is not lost but answered.
   */
  cancel(reason: unknown): void {
    if (this.unwanted) return;
    this.#cancelled = { reason };
    this.#grace = setTimeout(() => this.fail(reason), CANCEL_GRACE_MS);
  }

  /** Rejects now, whatever the kernel will say. */
  fail(reason: unknown): void {
    this.#settle(() => this.#reject(this.#cancelled?.reason ?? reason));
  }

  /** Settles with the kernel's answer. */
  reply(reply: Reply, address: string): void {
    const { result } = reply;
    if (result?.$case === "error") {
      this.fail(syscallError(result.value));
    } else if (result?.$case === this.name) {
      const value = result.value as Result<K>;
      this.#settle(() => this.#resolve({ value, usage: reply.usage }));
    } else {
      const what = result?.$case ?? "nothing known";
      this.fail(new ConnectionError(address, `the kernel answered ${this.name} with ${what}`));
    }
  }

  #settle(how: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#grace);
    how();
  }
}
