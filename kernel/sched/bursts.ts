/** The bursts that are not over, and those of each process. */
import type { Burst } from "./burst.js";

const NONE: ReadonlySet<Burst> = new Set();

export class Bursts {
  readonly #all = new Set<Burst>();
  readonly #byPid = new Map<bigint, Set<Burst>>();

  all(): Iterable<Burst> {
    return this.#all.values();
  }

  has(burst: Burst): boolean {
    return this.#all.has(burst);
  }

  of(pid: bigint): ReadonlySet<Burst> {
    return this.#byPid.get(pid) ?? NONE;
  }

  add(burst: Burst): void {
    this.#all.add(burst);
    const siblings = this.#byPid.get(burst.spec.pid);
    if (siblings) siblings.add(burst);
    else this.#byPid.set(burst.spec.pid, new Set([burst]));
  }

  /** @returns whether it was there */
  delete(burst: Burst): boolean {
    const { pid } = burst.spec;
    const siblings = this.#byPid.get(pid);
    siblings?.delete(burst);
    if (siblings?.size === 0) this.#byPid.delete(pid);
    return this.#all.delete(burst);
  }

  /** What those of a process have waited and been served until now, microseconds. */
  timesOf(pid: bigint, now: number): { queuedUs: number; servedUs: number } {
    const sum = { queuedUs: 0, servedUs: 0 };
    for (const { state, queuedUs, servedUs, readySince, switchedInAt } of this.of(pid)) {
      sum.queuedUs += queuedUs + (state === "ready" ? now - readySince : 0);
      sum.servedUs += servedUs + (state === "running" ? now - switchedInAt : 0);
    }
    return sum;
  }
}
