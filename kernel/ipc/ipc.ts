/**
 * Messages between processes: the parts, and what they must hear of the rest. Their state
 * is in the journal; here is who waits, and the timers.
 */
import { ContixError } from "../../proto/errno.js";
import type { Call } from "../call.js";
import type { Clock } from "../clock.js";
import type { Config } from "../config.js";
import type { Journal } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { Barriers } from "./barriers.js";
import { Between } from "./between/between.js";
import type { Bus } from "./bus.js";
import { Locks } from "./locks.js";
import { Mailboxes } from "./mailboxes.js";
import { Pipes } from "./pipes.js";
import { Requests } from "./requests.js";
import { Topics } from "./topics.js";

export interface IpcParts {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly config: Pick<Config, "limits">;
}

export class Ipc {
  readonly mail: Mailboxes;
  readonly requests: Requests;
  readonly topics: Topics;
  readonly pipes: Pipes;
  readonly locks: Locks;
  readonly barriers: Barriers;
  #between: Between | undefined;

  constructor({ journal, clock, config }: IpcParts) {
    this.mail = new Mailboxes(journal, clock, config.limits);
    this.requests = new Requests(journal);
    this.topics = new Topics(journal, config.limits, this.mail);
    this.pipes = new Pipes(journal, config.limits);
    this.locks = new Locks(journal, clock);
    this.barriers = new Barriers(journal);
  }

  /** Joins the kernel, whose messages these are, to the others on the bus. */
  connect(kernel: Kernel, bus: Bus): void {
    this.topics.connect(bus);
    this.#between = new Between(kernel, bus);
  }

  /** What is under way to other kernels. */
  get linked() {
    return this.#between?.waiting ?? { length: 0, bytes: 0 };
  }

  /** Tells the other kernels that this one ends. */
  close(): void {
    this.#between?.close();
  }

  /** Takes a call to the kernel of that node, which answers it. ESRCH, EAGAIN, EINVAL. */
  forward(call: Call, node: number): void {
    if (!this.#between) {
      const message = `there is no kernel n${node}: this one is joined to no others, for which it needs NATS`;
      throw new ContixError("ESRCH", message, { argument: "node" });
    }
    this.#between.forward(call, node);
  }

  /** The process is over, and the journal knows: what it had goes to others. */
  processOver(pid: bigint): void {
    this.mail.processOver(pid);
    this.requests.processOver(pid);
    this.#between?.processOver(pid);
    this.settle();
  }

  /**
   * A run of the process is over, and another will begin: what it had not finished is open
   * again. Its mailbox stays, and what is in it.
   */
  runOver(pid: bigint): void {
    this.mail.runOver(pid);
    this.requests.runOver(pid);
    this.locks.runOver(pid);
    this.#between?.runOver(pid);
  }

  /**
   * Handles were closed, revoked or moved, or an object is gone. Calls by such a handle
   * have ended (trap.recheck); the others go on as things are now.
   */
  settle(): void {
    for (const part of [this.pipes, this.locks, this.barriers]) {
      for (const id of new Set(part.ids)) part.settle(id);
    }
    for (const id of this.requests.ids) this.requests.settle(id);
    this.topics.settle();
  }

  /** How many calls wait on the object. */
  waiting(id: bigint): number {
    const others = [this.pipes, this.locks, this.barriers];
    return others.reduce((sum, part) => sum + part.waiting(id).length, this.mail.count({ id }));
  }
}
