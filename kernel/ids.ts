/**
 * Ids of processes and contexts: uint64, 12 bits of node and 52 of counter,
 * shown as `n1.17`. They are unique in the cluster and never reused.
 */
import { ContixError } from "../proto/errno.js";

const COUNTER_BITS = 52n;
const COUNTER_MASK = (1n << COUNTER_BITS) - 1n;

export function makeId(node: number, counter: number): bigint {
  return (BigInt(node) << COUNTER_BITS) | BigInt(counter);
}

/** The node in an id: where it was made. */
export function nodeOf(id: bigint): number {
  return Number(id >> COUNTER_BITS);
}

/** `n1.17` for the id of node 1, counter 17. */
export function showId(id: bigint): string {
  return `n${id >> COUNTER_BITS}.${id & COUNTER_MASK}`;
}

/** The id written as `n1.17`. Throws EINVAL on anything else. */
export function parseId(text: string): bigint {
  const match = /^n(\d{1,4})\.(\d{1,16})$/.exec(text);
  const node = Number(match?.[1] ?? Number.NaN);
  const counter = BigInt(match?.[2] ?? -1);
  if (!match || node > 4095 || counter > COUNTER_MASK) {
    throw new ContixError("EINVAL", `"${text}" is no id; ids look like n1.17`);
  }
  return (BigInt(node) << COUNTER_BITS) | counter;
}
