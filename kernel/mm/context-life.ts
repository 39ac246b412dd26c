/**
 * The life of contexts: who is using one, when it was used last, and its end. One
 * with a time to live is closed when nobody has used it for so long. When that was
 * is not in the journal: after a restart of the kernel every time to live begins anew.
 */
import { ContixError } from "../../proto/errno.js";
import type { Clock } from "../clock.js";
import type { Engines } from "../engines/engines.js";
import { showId } from "../ids.js";
import type { Context, Journal } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import type { Log } from "../log.js";

export interface ContextLifeParts {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly engines: Pick<Engines, "drop">;
  readonly log: Pick<Log, "debug">;
}

export class ContextLife {
  readonly #parts: ContextLifeParts;
  readonly #busy = new Set<bigint>();
  readonly #usedAt = new Map<bigint, number>();
  readonly #timers = new Map<bigint, () => void>();

  constructor(parts: ContextLifeParts) {
    this.#parts = parts;
  }

  isBusy(cid: bigint): boolean {
    return this.#busy.has(cid);
  }

  /** Since its last use, microseconds; 0 while it is used. */
  idleUs({ cid, createdAt }: Pick<Context, "cid" | "createdAt">): number {
    if (this.#busy.has(cid)) return 0;
    return this.#parts.clock.now() - (this.#usedAt.get(cid) ?? createdAt);
  }

  /** It was used: its time to live begins anew. */
  touch(cid: bigint): void {
    const { clock, journal } = this.#parts;
    const context = journal.state.contexts.get(cid);
    if (!context) return;
    this.#usedAt.set(cid, clock.now());
    if (context.ttlUs > 0 && !this.#timers.has(cid)) this.#arm(cid, context.ttlUs);
  }

  /** One append, cut or generation at a time on a context: EBUSY for a second. */
  lock({ cid }: Pick<Context, "cid">): Disposable {
    if (this.#busy.has(cid)) {
      throw new ContixError("EBUSY", "another call is using this context", { argument: "handle" });
    }
    this.#busy.add(cid);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        // Once only: by now another call may hold it.
        if (!held) return;
        held = false;
        this.#busy.delete(cid);
        this.touch(cid);
      },
    };
  }

  /** Gives back all that is held for it; the record that ends it is the caller's to append. */
  close({ cid, model }: Pick<Context, "cid" | "model">): JournalRecord {
    this.#parts.engines.drop({ cid, model });
    this.#timers.get(cid)?.();
    this.#timers.delete(cid);
    this.#usedAt.delete(cid);
    return { type: "ctx.closed", cid };
  }

  #arm(cid: bigint, us: number): void {
    this.#timers.set(
      cid,
      this.#parts.clock.after(us, () => this.#review(cid)),
    );
  }

  #review(cid: bigint): void {
    const { journal, log } = this.#parts;
    this.#timers.delete(cid);
    const context = journal.state.contexts.get(cid);
    if (!context) return;
    const left = context.ttlUs - this.idleUs(context);
    if (left > 0) {
      this.#arm(cid, left);
      return;
    }
    journal.append(this.close(context));
    log.debug({ context: showId(cid) }, "context expired");
  }
}
