/** Every queue of the kernel that is not a model's: how much waits in it, for those who watch the kernel. */
import type { Kernel } from "./kernel.js";

export interface QueueFigures {
  readonly length: number;
  /** What may wait at most; missing: the bound is not one of the whole kernel. */
  readonly limit?: number;
  /** What waits, in bytes, where that is counted. */
  readonly bytes?: number;
  /** What found no room, since the start. */
  readonly lost?: number;
}

/** Queues that the parts keep which have them. */
export class Queues {
  readonly #all = new Map<string, () => QueueFigures>();

  add(name: string, read: () => QueueFigures): void {
    this.#all.set(name, read);
  }

  read(): (QueueFigures & { readonly queue: string })[] {
    return [...this.#all].map(([queue, read]) => ({ queue, ...read() }));
  }
}

/** Those and what waits in the state, as the wire tells it. */
export function queuesOf(kernel: Kernel) {
  const { queues, trap, ask, ipc, config, journal } = kernel;
  const all: (QueueFigures & { readonly queue: string })[] = [
    ...queues.read(),
    ...inState(journal.state),
    { queue: "calls", length: trap.busy },
    { queue: "questions", length: ask.open, limit: config.limits.questions },
    { queue: "links", ...ipc.linked },
  ];
  return all.map(({ queue, length, limit = 0, bytes, lost = 0 }) => ({
    ...{ queue, length: BigInt(length), limit: BigInt(limit), lost: BigInt(lost) },
    bytes: bytes === undefined ? undefined : BigInt(bytes),
  }));
}

/** What waits to be received, read, answered, acknowledged. */
function inState({ processes, ipc }: Kernel["journal"]["state"]) {
  const sums = new Map<string, { length: number; bytes: number }>();
  for (const queue of ["inboxes", "mailboxes", "subscriptions", "pipes", "results"]) {
    sums.set(queue, { length: 0, bytes: 0 });
  }
  const add = (queue: string, length: number, bytes: number): void => {
    const sum = sums.get(queue);
    if (!sum) return;
    sum.length += length;
    sum.bytes += bytes;
  };
  for (const { mailbox, results, resultBytes } of processes.values()) {
    add("inboxes", mailbox.mails.length, mailbox.bytes);
    add("results", results.size, resultBytes);
  }
  for (const object of ipc.objects.values()) {
    if (object.type === "pipe") add("pipes", object.chunks.length, object.bytes);
    if (object.type !== "mailbox") continue;
    const { box, subscription } = object;
    add(subscription ? "subscriptions" : "mailboxes", box.mails.length, box.bytes);
  }
  const requests = { queue: "requests", length: ipc.requests.size };
  return [...[...sums].map(([queue, sum]) => ({ queue, ...sum })), requests];
}
