/** Who waits for which child. A child is waited for once; who waits in vain is told so. */
import { ContixError } from "../../proto/errno.js";
import { showId } from "../ids.js";
import type { Process, ReadonlyState } from "../journal/journal.js";

export interface Waiter {
  readonly parent: bigint;
  /** 0n: any child. */
  readonly pid: bigint;
  /** Reaps the child and answers the call. */
  readonly found: (child: Process) => void;
  /** There is no such child any more. */
  readonly failed: (error: ContixError) => void;
}

export class Waiters {
  readonly #state: ReadonlyState;
  readonly #waiting = new Set<Waiter>();

  constructor(state: ReadonlyState) {
    this.#state = state;
  }

  /** Tells the waiter of a child that is over, now or later; the result takes it back. ECHILD. */
  add(waiter: Waiter): () => void {
    const children = this.#children(waiter);
    if (children.length === 0) throw noChild(waiter);
    const zombie = children.find((child) => child.exit);
    if (zombie) waiter.found(zombie);
    else this.#waiting.add(waiter);
    return () => void this.#waiting.delete(waiter);
  }

  /** Hands a child that is over to one waiter: to one that waits for it alone, before any other. */
  over(child: Process): void {
    const candidates = [...this.#waiting].filter((waiter) => waiter.parent === child.parent);
    const waiter =
      candidates.find(({ pid }) => pid === child.pid) ?? candidates.find(({ pid }) => pid === 0n);
    if (!waiter) return;
    this.#waiting.delete(waiter);
    waiter.found(child);
    this.childless(child.parent);
  }

  /** Tells those of a parent's waiters whose child is gone, or who have none any more. */
  childless(parent: bigint): void {
    for (const waiter of [...this.#waiting]) {
      if (waiter.parent !== parent || this.#children(waiter).length > 0) continue;
      this.#waiting.delete(waiter);
      waiter.failed(noChild(waiter));
    }
  }

  #children({ parent, pid }: Waiter): Process[] {
    if (pid !== 0n) {
      const child = this.#state.processes.get(pid);
      return child && child.parent === parent ? [child] : [];
    }
    return [...this.#state.processes.values()].filter((process) => process.parent === parent);
  }
}

function noChild({ pid }: Waiter): ContixError {
  const what =
    pid === 0n ? "this process has no children" : `${showId(pid)} is no child of this process`;
  return new ContixError("ECHILD", what, { argument: "pid" });
}
