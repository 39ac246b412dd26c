/** The syscalls of pipes, locks and barriers. */
import { ContixError } from "../../proto/errno.js";
import { argumentsOf, inRange } from "../args.js";
import type { Call } from "../call.js";
import type { Kernel } from "../kernel.js";
import { callWaits } from "../mm/process-waits.js";
import { theObject } from "./objects.js";

const READ_BYTES = 65_536;
const LARGEST_READ = 1 << 20;
const LONGEST_LEASE_US = 86_400 * 1e6;

export function pipeRead(kernel: Kernel, call: Call): void {
  const { max } = argumentsOf(call, "pipeRead");
  const pipe = theObject(kernel.journal.state, call, "pipe");
  kernel.ipc.pipes.read(call, pipe, inRange("max", max || READ_BYTES, 1, LARGEST_READ));
  callWaits(kernel, call);
}

export function pipeWrite(kernel: Kernel, call: Call): void {
  const { data, try: tries } = argumentsOf(call, "pipeWrite");
  const pipe = theObject(kernel.journal.state, call, "pipe");
  if (data.length > pipe.capacity) {
    const message = `${data.length} bytes in one write; the pipe holds ${pipe.capacity}`;
    throw new ContixError("EMSGSIZE", message, { argument: "data" });
  }
  kernel.ipc.pipes.write(call, pipe, data, !tries);
  callWaits(kernel, call);
}

export function lock(kernel: Kernel, call: Call): void {
  const { try: tries, leaseUs } = argumentsOf(call, "lock");
  const us = inRange("lease_us", Number(leaseUs), 0, LONGEST_LEASE_US);
  kernel.ipc.locks.acquire(call, theObject(kernel.journal.state, call, "lock"), us, !tries);
  callWaits(kernel, call);
}

export function unlock(kernel: Kernel, call: Call): void {
  const { token } = argumentsOf(call, "unlock");
  kernel.ipc.locks.release(call, theObject(kernel.journal.state, call, "lock"), token);
}

export function renew(kernel: Kernel, call: Call): void {
  const { token, leaseUs } = argumentsOf(call, "renew");
  const us = inRange("lease_us", Number(leaseUs), 0, LONGEST_LEASE_US);
  kernel.ipc.locks.renew(call, theObject(kernel.journal.state, call, "lock"), token, us);
}

export function barrierWait(kernel: Kernel, call: Call): void {
  kernel.ipc.barriers.wait(call, theObject(kernel.journal.state, call, "barrier"));
  callWaits(kernel, call);
}
