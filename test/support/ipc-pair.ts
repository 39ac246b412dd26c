/**
 * Two kernels on one bus, callers on one and what they call on the other; or one kernel
 * that is both, so that a suite can hold all arrangements to the same.
 */
import { nodeOf } from "../../kernel/ids.js";
import type { Bus } from "../../kernel/ipc/bus.js";
import type { Reply } from "../../proto/gen/contix/v1/kernel.js";
import type { CallName } from "./bare-kernel.js";
import { IpcWorld } from "./ipc-world.js";

/** A kernel's place on a bus; undefined: there is but one kernel. */
export type JoinBus = (id: string) => Promise<Bus | undefined>;

export class IpcPair {
  /** Where the callers are, and where the objects and those who are sent to. */
  readonly here: IpcWorld;
  readonly there: IpcWorld;
  readonly #buses: readonly Bus[];

  private constructor(here: IpcWorld, there: IpcWorld, buses: readonly Bus[]) {
    this.here = here;
    this.there = there;
    this.#buses = buses;
  }

  static async make(join: JoinBus): Promise<IpcPair> {
    const here = new IpcWorld(1);
    const [one, two] = [await join("one"), await join("two")];
    if (!one || !two) return new IpcPair(here, here, []);
    const pair = new IpcPair(here, new IpcWorld(2), [one, two]);
    pair.there.kernel.ipc.connect(pair.there.kernel, two);
    here.kernel.ipc.connect(here.kernel, one);
    await pair.quiet();
    return pair;
  }

  /** A caller, and one that is called. */
  agent(principal?: string): bigint {
    return this.here.agent(principal);
  }
  peer(principal?: string): bigint {
    return this.there.agent(principal);
  }
  /** The state of where the objects are. */
  get state() {
    return this.there.state;
  }

  ask<N extends CallName>(pid: bigint, name: N, args: object = {}, handle = 0) {
    return this.#of(pid).ask(pid, name, args, handle);
  }
  call(pid: bigint, name: CallName, args: object = {}, handle = 0): Promise<Reply> {
    return this.#of(pid).call(pid, name, args, handle);
  }
  /** Opens an object there. */
  open(pid: bigint, type: string, name: string, more: object = {}): Promise<number> {
    return this.#of(pid).open(pid, type, name, { node: this.node, ...more });
  }
  end(pid: bigint): void {
    this.#of(pid).end(pid);
  }
  /** The caller gives up whatever it waits for. */
  async cancelAll(pid: bigint): Promise<void> {
    await this.quiet();
    const { trap } = this.#of(pid).kernel;
    for (const call of [...trap.inFlight(pid)]) trap.cancel(pid, call.syscall.seq);
  }

  /** The node of the objects, as calls name it. */
  get node(): string {
    return `n${this.there.kernel.journal.node}`;
  }

  /** Time passes on both, after what is under way. */
  async pass(us: number): Promise<void> {
    await this.quiet();
    for (const world of new Set([this.here, this.there])) world.pass(us);
    await this.quiet();
  }

  async settled(promise: Promise<unknown>): Promise<boolean> {
    await this.quiet();
    return this.here.settled(promise);
  }

  /** What was under way has arrived, and what that caused. */
  async quiet(): Promise<void> {
    for (let i = 0; i < 4; i++) {
      for (const bus of this.#buses) if (bus.up) await bus.flush();
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  close(): void {
    for (const { kernel } of new Set([this.here, this.there])) kernel.ipc.close();
  }

  #of(pid: bigint): IpcWorld {
    return nodeOf(pid) === this.there.kernel.journal.node ? this.there : this.here;
  }
}
