/** What the machine has. */
import { totalmem } from "node:os";

/** Bytes of memory that there are for us: the machine's, or the container's. */
export function machineMemory(): number {
  // No limit is 0 or beyond what there is.
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
