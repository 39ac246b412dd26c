/**
 * PRESSURE: a process hears when nine tenths of a quota are used, its own or its
 * principal's, once until it is below again. It can end its work in order then, instead of
 * finding out by EDQUOT in the midst of it. Rates are no matter: they fill up again.
 */
import type { QuotaEvent } from "../../../proto/gen/contix/v1/kernel.js";
import type { Process } from "../../journal/journal.js";
import type { LimitUse } from "./rates.js";

const MARK = 0.9;

export class Pressure {
  /** Quotas past the mark, of those who heard of it. */
  readonly #told = new Map<bigint, ReadonlySet<string>>();

  /** Those of what is in use that are newly past the mark. */
  note({ pid }: Pick<Process, "pid">, uses: readonly LimitUse[]): QuotaEvent[] {
    const high = uses.filter(({ limit, used }) => limit > 0 && used >= MARK * limit);
    const before = this.#told.get(pid);
    if (high.length === 0) {
      if (before) this.#told.delete(pid);
      return [];
    }
    this.#told.set(pid, new Set(high.map(nameOf)));
    const fresh = high.filter((use) => !before?.has(nameOf(use)));
    return fresh.map(({ quota, of, limit, used }) => {
      return { quota, of, limit: BigInt(Math.floor(limit)), used: BigInt(Math.floor(used)) };
    });
  }

  /** The process is over. */
  forget(pid: bigint): void {
    this.#told.delete(pid);
  }
}

function nameOf({ quota, of, limit }: LimitUse): string {
  return `${quota} ${of} ${limit}`;
}
