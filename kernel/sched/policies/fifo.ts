/**
 * First in, first out: who came first holds its slot until it is over. The mean response of
 * short calls is as bad as it gets behind long ones; it is here to be compared with.
 */
import type { Policy } from "../policy.js";

/** @param quantum tokens that are counted as one turn */
export function fifo(quantum: number): Policy {
  return {
    name: "fifo",
    quantum,
    preemptive: false,
    // Who lost its slot with the driver, or waited for its reader, has its old place again.
    place: ({ order }) => ({ key: order }),
    compare: (a, b) => a.order - b.order,
    yields: () => false,
  };
}
