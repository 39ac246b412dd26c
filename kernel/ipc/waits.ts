/** Calls that wait on objects, in the order in which they came. */
import type { ContixError } from "../../proto/errno.js";

export interface Waiting {
  /** Whose call it is. */
  readonly pid: bigint;
  /** Ends the call with an error; it leaves the queue by that. */
  readonly end: (error: ContixError) => void;
}

export class Waits<W extends Waiting> {
  readonly #by = new Map<bigint, W[]>();

  /** Puts it at the end of the object's queue; the result takes it out. */
  add(id: bigint, waiting: W): () => void {
    const queue = this.#by.get(id) ?? [];
    this.#by.set(id, queue);
    queue.push(waiting);
    return () => this.remove(id, waiting);
  }

  remove(id: bigint, waiting: W): void {
    const queue = this.#by.get(id);
    const at = queue?.indexOf(waiting) ?? -1;
    if (at >= 0) queue?.splice(at, 1);
    if (queue?.length === 0) this.#by.delete(id);
  }

  /** Those that wait on the object, the first first. A copy. */
  of(id: bigint): W[] {
    return [...(this.#by.get(id) ?? [])];
  }
  first(id: bigint): W | undefined {
    return this.#by.get(id)?.[0];
  }
  count(id: bigint): number {
    return this.#by.get(id)?.length ?? 0;
  }
  /** The objects that somebody waits on. */
  get ids(): bigint[] {
    return [...this.#by.keys()];
  }
}
