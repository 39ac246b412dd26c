/**
 * Ids on the surface: a uint64 of 12 bits node and 52 bits counter, shown as
 * `n1.17`. 0 on the wire is "none".
 */
const COUNTER_BITS = 52n;
const COUNTER_MASK = (1n << COUNTER_BITS) - 1n;
const SHOWN = /^n(\d{1,4})\.(\d{1,16})$/;

/** A process's id as shown, such as "n1.17": unique in the cluster, never reused. */
export type Pid = string;
/** A context's id as shown, such as "n1.4". */
export type Cid = string;

/** `n1.17` for the uint64 of the wire. */
export function showId(id: bigint): string {
  return `n${id >> COUNTER_BITS}.${id & COUNTER_MASK}`;
}

/** The uint64 for `n1.17`; a TypeError that names `argument` for anything else. */
export function readId(argument: string, shown: unknown): bigint {
  const parts = typeof shown === "string" ? SHOWN.exec(shown) : null;
  const node = BigInt(parts?.[1] ?? 4096);
  const counter = BigInt(parts?.[2] ?? 0);
  if (node > 4095n || counter > COUNTER_MASK) {
    throw new TypeError(`${argument}: expected an id such as "n1.17", got ${String(shown)}`);
  }
  return (node << COUNTER_BITS) | counter;
}

/** The id, or null for the wire's 0. */
export function showIdOrNull(id: bigint): string | null {
  return id === 0n ? null : showId(id);
}
