/**
 * Scopes: which groups of calls a key opens. A group is the first word of a row's name
 * ("llm" of llm.generate); what manages principals and keys, and the audit, is "admin".
 */
import { ContixError } from "../../proto/errno.js";
import type { Process } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { EVERYONE } from "./rights.js";

export const ADMIN_SCOPE = "admin";
/** Every group but admin's: what a key opens when nobody says otherwise. */
export const ALL_BUT_ADMIN = "*";
/** The scopes of the bootstrap token. */
export const ALL_SCOPES: readonly string[] = [ALL_BUT_ADMIN, ADMIN_SCOPE];

const ADMINS: ReadonlySet<string> = new Set(["principal", "key", "audit"]);

/** By the row's name: each call asks. */
const known = new Map<string, string>();

export function scopeOf({ name }: { readonly name: string }): string {
  let scope = known.get(name);
  if (scope === undefined) {
    const [group = ""] = name.split(".");
    scope = ADMINS.has(group) ? ADMIN_SCOPE : group;
    known.set(name, scope);
  }
  return scope;
}

/** The principal whose objects a process with these scopes has in its namespace. */
export function reachOf(principal: string, scopes: readonly string[]): string {
  return scopes.includes(ADMIN_SCOPE) ? EVERYONE : principal;
}

/** EPERM when the process's key does not open the row's group; EACCES when the key is good no more. */
export function checkScope(
  { journal, clock }: Pick<Kernel, "journal" | "clock">,
  process: Process,
  row: { readonly name: string },
): void {
  if (process.key !== "") {
    const key = journal.state.keys.get(process.key);
    const over = key?.revokedAt !== 0 || (key.expiresAt !== 0 && clock.wall() >= key.expiresAt);
    if (over) throw new ContixError("EACCES", `the key ${process.key} is revoked or has expired`);
  }
  const scope = scopeOf(row);
  const { scopes } = process;
  if (scopes.includes(scope) || (scope !== ADMIN_SCOPE && scopes.includes(ALL_BUT_ADMIN))) return;
  const message = `${row.name} needs the scope ${scope}; the key ${process.key} has ${scopes.join(", ")}`;
  throw new ContixError("EPERM", message);
}
