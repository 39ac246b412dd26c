/** A client of any door that says exactly what the test says: over the SDK's transports, under its session. */
import {
  type ClientFrame,
  Hello,
  type Reply,
  type ServerFrame,
  Syscall,
} from "../../proto/gen/contix/v1/kernel.js";
import type { Tls } from "../../syscalls/wire/address.js";
import { encodeFrame, type Link, openLink } from "../../syscalls/wire/link.js";
import type { Args, CallName, Result } from "../../syscalls/wire/pending.js";

/** A way in. */
export interface Door {
  readonly name: string;
  readonly address: string;
  readonly token: string;
  readonly tls: Tls;
}

type Frame = NonNullable<ServerFrame["frame"]>;

export class DoorClient {
  readonly received: Frame[] = [];
  ended: { readonly inOrder: boolean } | undefined;
  #waiters: (() => void)[] = [];
  #link: Link | undefined;
  #seq = 0n;

  /** Attaches; rejects as the SDK's transport does. */
  static async open(
    door: Door,
    hello: Partial<Hello> = {},
    timeoutMs = 10_000,
  ): Promise<DoorClient> {
    const client = new DoorClient();
    const said = Hello.fromPartial({ abi: 1, token: door.token, name: "door", ...hello });
    client.#link = await openLink(door, said, timeoutMs, {
      frame: (frame) => {
        client.received.push(frame);
        client.#tell();
      },
      end: (how) => {
        client.ended = how;
        client.#tell();
      },
    });
    return client;
  }

  get link(): Link {
    if (this.#link === undefined) throw new Error("not attached");
    return this.#link;
  }
  get welcome() {
    return this.link.welcome;
  }

  send(frame: NonNullable<ClientFrame["frame"]>): void {
    this.link.send(encodeFrame(frame));
  }
  sendBytes(bytes: Uint8Array): void {
    this.link.send(Buffer.from(bytes));
  }

  /** Sends a call under a seq of its own, or the given one. */
  call<K extends CallName>(name: K, args: Partial<Args<K>>, over: Partial<Syscall> = {}): bigint {
    this.#seq += 1n;
    const call = { $case: name, value: args };
    const value = Syscall.fromPartial({ seq: this.#seq, call, ...over } as Partial<Syscall>);
    this.send({ $case: "call", value });
    return value.seq;
  }

  /** Calls and waits; the error's name where it failed. */
  async ask<K extends CallName>(
    name: K,
    args: Partial<Args<K>>,
    over: Partial<Syscall> = {},
  ): Promise<string | Result<K>> {
    return this.outcome<K>(await this.reply(this.call(name, args, over)));
  }

  /** Calls and waits for its result. */
  async ok<K extends CallName>(
    name: K,
    args: Partial<Args<K>> = {},
    over: Partial<Syscall> = {},
  ): Promise<Result<K>> {
    const result = await this.ask(name, args, over);
    if (typeof result === "string") throw new Error(`${name}: ${result}`);
    return result as Result<K>;
  }

  outcome<K extends CallName>(reply: Reply): string | Result<K> {
    const { result } = reply;
    if (result === undefined) return "nothing";
    if (result.$case === "error") return result.value.name;
    const value: unknown = result.value;
    return value as string | Result<K>;
  }

  /** The next frame from `from` on that `pick` takes; rejects when the link ends before. */
  async find<T>(pick: (frame: Frame) => T | undefined, from = 0): Promise<T> {
    for (let next = from; ; ) {
      for (; next < this.received.length; next++) {
        const frame = this.received[next];
        const found = frame && pick(frame);
        if (found !== undefined) return found;
      }
      if (this.ended) throw new Error("the link ended");
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }
  reply(seq: bigint, from = 0): Promise<Reply> {
    return this.find(
      (f) => (f.$case === "reply" && f.value.seq === seq ? f.value : undefined),
      from,
    );
  }
  async errorOf(seq: bigint, from = 0): Promise<string> {
    const outcome = this.outcome(await this.reply(seq, from));
    return typeof outcome === "string" ? outcome : "no error";
  }
  /** Resolves when the link is over. */
  async over(): Promise<void> {
    while (!this.ended) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }
  chunks(seq: bigint): number {
    return this.received.filter((f) => f.$case === "chunk" && f.value.seq === seq).length;
  }

  /** Cuts the connection without a word. */
  cut(): void {
    this.link.destroy();
  }
  async close(): Promise<void> {
    await this.link.close(1_000);
  }

  #tell(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}
