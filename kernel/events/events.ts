/**
 * The kernel's events, from where they come to who hears them: records of the journal,
 * denials of the audit, drivers. Nothing waits for a listener, and without one nothing is
 * made.
 */

import { DENIED } from "../cap/audit/log.js";
import type { Audit, AuditEntry } from "../cap/audit.js";
import type { ServedModel } from "../engines/served-model.js";
import { showId } from "../ids.js";
import type { Journal } from "../journal/journal.js";
import type { KernelEvent } from "./event.js";
import { eventOf } from "./of-records.js";

/** Hears an event as it happens: must return at once, and not throw. */
export type Listener = (event: KernelEvent) => void;

type ModelState = Pick<ServedModel, "name" | "state" | "failure">;

export class Events {
  readonly #journal: Journal;
  readonly #listeners = new Set<Listener>();
  /** Of models, as they were last. */
  readonly #models = new Map<string, ModelState["state"]>();

  constructor(journal: Journal) {
    this.#journal = journal;
    journal.watch((record) => {
      if (this.#listeners.size === 0) return;
      const event = eventOf(this.#journal.state, record);
      if (event) this.emit(event);
    });
  }

  /** Until the result is called. */
  listen(hear: Listener): () => void {
    this.#listeners.add(hear);
    return () => void this.#listeners.delete(hear);
  }

  emit(event: KernelEvent): void {
    for (const hear of this.#listeners) hear(event);
  }

  /** The audit, overheard: what it was told was denied is an event. */
  overhearing(audit: Audit): Audit {
    return {
      record: (entry) => {
        audit.record(entry);
        if (this.#listeners.size > 0 && DENIED.has(entry.result)) this.emit(denial(entry));
      },
      admit: (taking) => audit.admit(taking),
      sync: () => audit.sync(),
    };
  }

  /** The state of a model may have changed. */
  model({ name, state, failure }: ModelState): void {
    const before = this.#models.get(name);
    if (before === state) return;
    this.#models.set(name, state);
    const verb = verbOf(before, state);
    if (verb === undefined) return;
    const facts = { model: name, ...(failure && { why: failure.message }) };
    this.emit({ principal: "", name: `model.${verb}`, facts });
  }
}

/** A driver that runs is up; one that ran and is being started again was lost. */
function verbOf(
  before: ModelState["state"] | undefined,
  state: ModelState["state"],
): string | undefined {
  if (state === "running") return "up";
  if (state === "failed") return "failed";
  if (before !== "running") return undefined;
  return state === "starting" ? "lost" : "stopped";
}

function denial({ principal, pid, run, seq, call, object, handle, ...entry }: AuditEntry) {
  const { result, reason } = entry;
  if (pid === 0n) return { principal, name: "attach.denied", facts: { result, reason } };
  const named = { ...(object !== "" && { object }), ...(handle !== 0 && { handle }) };
  const facts = { pid: showId(pid), run, callSeq: String(seq), call, ...named, result, reason };
  return { principal, name: "call.denied", facts };
}
