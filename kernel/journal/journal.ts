/**
 * The durable record from which the kernel comes back. Whoever changes state
 * appends records; whoever acknowledges to the outside syncs first.
 */
import type { JournalRecord } from "./records.js";
import { apply, emptyState, type State } from "./state.js";

type Immutable<T> =
  T extends Map<infer K, infer V>
    ? ReadonlyMap<K, Immutable<V>>
    : T extends (infer E)[]
      ? readonly Immutable<E>[]
      : T extends Uint8Array | bigint
        ? T
        : T extends object
          ? { readonly [P in keyof T]: Immutable<T[P]> }
          : T;

/** The state as readers see it. */
export type ReadonlyState = Immutable<State>;
export type Process = Immutable<State["processes"] extends Map<bigint, infer P> ? P : never>;
export type Context = Immutable<State["contexts"] extends Map<bigint, infer C> ? C : never>;

export interface Journal {
  readonly state: ReadonlyState;
  /** Appends records as one transaction and applies them at once, in order. */
  append(...records: JournalRecord[]): void;
  /** Resolves when everything appended so far is durable. */
  sync(): Promise<void>;
}

/** A journal that keeps nothing beyond the process: state only. */
export function memoryJournal(): Journal {
  const state = emptyState();
  return {
    state,
    append(...records) {
      for (const record of records) apply(state, record);
    },
    sync: () => Promise.resolve(),
  };
}
