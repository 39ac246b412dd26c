/**
 * What processes here hold on objects of other kernels, as their homes are told of it: a
 * pipe's end, a lock, a place at a barrier last as long as a capability does, wherever its
 * holder is. The truth is the tree of capabilities here; told is, for each process and
 * object, the whole of what it has now, whenever that is not what was told last.
 */
import type { AwayHeld } from "../../../proto/gen/contix/v1/between.js";
import type { ObjectRef } from "../../cap/rights.js";
import { objectKey } from "../../journal/fold-caps.js";
import type { Journal, ReadonlyState } from "../../journal/journal.js";

interface Tracked {
  readonly node: number;
  readonly type: ObjectRef["type"];
  readonly id: bigint;
  /** pid → rights, as told last. */
  readonly told: Map<bigint, string>;
}

export class Held {
  readonly #journal: Journal;
  readonly #tell: (node: number, held: AwayHeld) => void;
  readonly #objects = new Map<string, Tracked>();
  #changed = false;

  constructor(journal: Journal, tell: (node: number, held: AwayHeld) => void) {
    this.#journal = journal;
    this.#tell = tell;
    journal.watch(({ type }) => {
      if (this.#objects.size > 0 && (type.startsWith("cap.") || type === "proc.exited")) {
        this.#settleSoon();
      }
    });
  }

  /** The home gave the process these more on an object of its own. */
  given(node: number, object: ObjectRef & { readonly id: bigint }, pid: bigint, rights: number[]) {
    const key = objectKey(object);
    const { type, id } = object;
    const tracked = this.#objects.get(key) ?? { node, type, id, told: new Map() };
    this.#objects.set(key, tracked);
    tracked.told.set(pid, spelled([...read(tracked.told.get(pid)), ...rights]));
    this.#settleSoon();
  }

  /** The process is over, and its homes are told of that. */
  forget(pid: bigint): void {
    for (const { told } of this.#objects.values()) told.delete(pid);
  }

  /** The objects of a node that are held here; they are forgotten. */
  drop(node: number, only?: ObjectRef): ObjectRef[] {
    const dropped: ObjectRef[] = [];
    for (const [key, { node: home, type, id }] of [...this.#objects]) {
      if (home !== node || (only && key !== objectKey(only))) continue;
      this.#objects.delete(key);
      dropped.push({ type, id });
    }
    return dropped;
  }

  /** Tells the homes what they do not know. Before each call: what it is made by is known there. */
  settle(): void {
    if (!this.#changed) return;
    this.#changed = false;
    const { state } = this.#journal;
    for (const [key, tracked] of this.#objects) {
      const now = holdings(state, key);
      for (const pid of new Set([...now.keys(), ...tracked.told.keys()])) {
        const text = spelled(now.get(pid) ?? []);
        if (text !== (tracked.told.get(pid) ?? "")) this.#tellOf(tracked, pid, text);
      }
      if (now.size === 0) this.#objects.delete(key);
    }
  }

  #tellOf({ node, type, id, told }: Tracked, pid: bigint, text: string): void {
    if (text === "") told.delete(pid);
    else told.set(pid, text);
    const { principal = "", run = 0 } = this.#journal.state.processes.get(pid) ?? {};
    this.#tell(node, { pid, run, principal, type, id, rights: read(text) });
  }

  #settleSoon(): void {
    if (this.#changed) return;
    this.#changed = true;
    queueMicrotask(() => this.settle());
  }
}

/** pid → the rights of each of its capabilities on the object. */
function holdings(state: ReadonlyState, key: string): Map<bigint, number[]> {
  const found = new Map<bigint, number[]>();
  for (const id of state.capsOn.get(key) ?? []) {
    const { holder = 0n, rights = 0 } = state.caps.get(id) ?? {};
    if (holder !== 0n) found.set(holder, [...(found.get(holder) ?? []), rights]);
  }
  return found;
}

function spelled(rights: readonly number[]): string {
  return [...rights].sort((a, b) => a - b).join(" ");
}
function read(text = ""): number[] {
  return text === "" ? [] : text.split(" ").map(Number);
}
