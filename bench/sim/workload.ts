/**
 * What the simulator plays: contexts that come, take turns, wait and go, at known times.
 * A workload does not react to how fast it is served: every policy sees the same string
 * of accesses, so that they, and the optimum, can be compared.
 */
import type { Wait } from "../../kernel/mm/eviction/policy.js";

/** One burst of a context. Tokens are made when they are asked for: a trace has millions. */
export interface Turn {
  /** Microseconds of the virtual clock. */
  readonly at: number;
  readonly servedUs: number;
  /** The context's whole history before it generates. */
  prompt(): number[];
  /** What it generates. */
  output(): number[];
  /** What its process waits for then. */
  readonly wait: Wait;
}

/** A context, from its first turn to its close. Turns do not overlap and are in order. */
export interface Life {
  readonly cid: bigint;
  readonly turns: readonly Turn[];
  readonly closesAt: number;
  /** Contexts of one program have the same; undefined: it is a program of its own. */
  readonly program?: number;
}

export interface Workload {
  readonly name: string;
  /** What was assumed beyond what the trace says; the scale among it. */
  readonly assumptions: string;
  readonly lives: readonly Life[];
}

export type Happening =
  | {
      readonly kind: "starts" | "ends";
      readonly at: number;
      readonly cid: bigint;
      readonly turn: Turn;
    }
  | { readonly kind: "closes"; readonly at: number; readonly cid: bigint };

/** Everything that happens, in order. What happens to one context keeps its order. */
export function happenings({ lives }: Workload): Happening[] {
  const all = lives.flatMap(({ cid, turns, closesAt }): Happening[] => [
    ...turns.flatMap((turn): Happening[] => [
      { kind: "starts", at: turn.at, cid, turn },
      { kind: "ends", at: turn.at + turn.servedUs, cid, turn },
    ]),
    { kind: "closes", at: closesAt, cid },
  ]);
  // Sorting is stable: where times are equal, the order above stays.
  return all.sort((a, b) => a.at - b.at);
}

/** A 32-bit token id that stands for these numbers; others have another, but for one in 4 billion. */
export function tokenOf(...parts: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const part of parts) {
    hash = Math.imul(hash ^ (part | 0), 0x9e3779b1);
    hash ^= hash >>> 15;
    hash = Math.imul(hash ^ Math.floor(part / 2 ** 32), 0x85ebca6b);
    hash ^= hash >>> 13;
  }
  return hash >>> 0;
}

export const SECOND = 1_000_000;
/** How long a context stays open after its last turn, when nothing says that it is over. */
export const LINGER = 600 * SECOND;

/** Turns as they would be served one after the other: none begins before the last has ended. */
export function inOrder(turns: readonly Turn[]): Turn[] {
  let free = 0;
  return turns.map((turn) => {
    const at = Math.max(turn.at, free);
    free = at + turn.servedUs;
    return at === turn.at ? turn : { ...turn, at };
  });
}

/** The end of the last turn. */
export function lastEnd(turns: readonly Turn[]): number {
  const last = turns.at(-1);
  return last ? last.at + last.servedUs : 0;
}
