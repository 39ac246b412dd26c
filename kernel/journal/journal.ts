/**
 * The durable record from which the kernel comes back. Whoever changes state
 * appends records; whoever acknowledges to the outside syncs first.
 */
import { NODE } from "../kernel.js";
import type { JournalRecord } from "./records.js";
import { apply, emptyState, type State } from "./state.js";

type Immutable<T> =
  T extends Map<infer K, infer V>
    ? ReadonlyMap<K, Immutable<V>>
    : T extends Set<infer E>
      ? ReadonlySet<Immutable<E>>
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
  /** The node whose ids are made here. */
  readonly node: number;
  readonly state: ReadonlyState;
  /** Appends records as one transaction and applies them at once, in order. */
  append(...records: JournalRecord[]): void;
  /** From now on `hear` is told of each record before it is applied: what it ends is still there. */
  watch(hear: (record: JournalRecord) => void): void;
  /** Resolves when everything appended so far is durable; undefined: it is. */
  sync(): Promise<void> | undefined;
}

/** A journal that keeps nothing beyond the process: state only. */
export function memoryJournal(node = NODE): Journal {
  const state = emptyState();
  const watchers: ((record: JournalRecord) => void)[] = [];
  return {
    node,
    state,
    append(...records) {
      for (const record of records) {
        for (const hear of watchers) hear(record);
        apply(state, record);
      }
    },
    watch: (hear) => void watchers.push(hear),
    sync: () => undefined,
  };
}
