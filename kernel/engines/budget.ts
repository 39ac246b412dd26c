/**
 * The memory that all drivers together may take. A driver needs what its weights,
 * its slots and itself take, as the library says; when that does not fit, the
 * drivers that nobody uses give way, the one used longest ago first.
 */
import { ContixError } from "../../proto/errno.js";

/** A driver that has memory. */
export interface Tenant {
  readonly name: string;
  /** Bytes. */
  readonly memory: number;
  /** Nobody uses it now. */
  readonly idle: boolean;
  readonly lastUsed: number;
}

const RETRY_US = 1_000_000;

/**
 * Who must go so that `need` more bytes fit into `budget`: as few as possible in the
 * order of their last use. ENOMEM when it never fits, EAGAIN when others are in use.
 */
export function makeRoom<T extends Tenant>(
  name: string,
  need: number,
  budget: number,
  tenants: readonly T[],
): T[] {
  if (need > budget) {
    const what = `the model ${name} needs ${mib(need)}, the memory budget is ${mib(budget)}`;
    throw new ContixError("ENOMEM", `${what}: raise memoryBudget, or lower slots or slotTokens`, {
      argument: "model",
    });
  }
  let free = budget - tenants.reduce((sum, { memory }) => sum + memory, 0);
  const idle = tenants.filter((tenant) => tenant.idle).sort((a, b) => a.lastUsed - b.lastUsed);
  const going: T[] = [];
  for (const tenant of idle) {
    if (free >= need) break;
    free += tenant.memory;
    going.push(tenant);
  }
  if (free >= need) return going;
  const busy = tenants.filter((tenant) => !tenant.idle).map((tenant) => tenant.name);
  const what = `the model ${name} needs ${mib(need)}, ${mib(free)} of the memory budget of ${mib(budget)} can be had`;
  throw new ContixError("EAGAIN", `${what} while ${busy.join(", ")} work`, {
    argument: "model",
    retryAfterUs: RETRY_US,
  });
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / (1 << 20)).toLocaleString("en-US")} MiB`;
}
