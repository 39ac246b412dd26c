/** The process that the table's row made the trap resolve. */
import { ContixError } from "../../proto/errno.js";
import type { Call } from "../call.js";
import type { Process } from "../journal/journal.js";

export function theTarget(call: Call): Process {
  if (!call.target) throw new ContixError("ESRCH", "the call is on no process");
  return call.target;
}
