/**
 * Mailboxes: each process has one, bounded. A receiver that waits gets a message
 * as it is sent; taking it and answering the receiver is one transaction.
 */
import type { Mail } from "../journal/state.js";

interface Receiver {
  /** 0n: from anyone. */
  readonly from: bigint;
  readonly take: (mail: Mail) => void;
}

/** The receivers that wait, by process. The messages themselves are in the journal's state. */
export class Mailboxes {
  readonly #waiting = new Map<bigint, Receiver[]>();

  /** Registers a receiver; the result takes it back. */
  wait(pid: bigint, receiver: Receiver): () => void {
    const queue = this.#waiting.get(pid) ?? [];
    this.#waiting.set(pid, queue);
    queue.push(receiver);
    return () => {
      const at = queue.indexOf(receiver);
      if (at >= 0) queue.splice(at, 1);
      if (queue.length === 0 && this.#waiting.get(pid) === queue) this.#waiting.delete(pid);
    };
  }

  /** Hands fresh mail to the receiver that waited longest, if one wants it. */
  deliver(pid: bigint, mail: Mail): void {
    const queue = this.#waiting.get(pid);
    const at = queue?.findIndex(({ from }) => from === 0n || from === mail.from) ?? -1;
    const [receiver] = at >= 0 ? (queue?.splice(at, 1) ?? []) : [];
    if (queue?.length === 0) this.#waiting.delete(pid);
    receiver?.take(mail);
  }
}
