/** The quotas of a principal: their names, and what is in force. */
import { ContixError } from "../../../proto/errno.js";
import type { Config } from "../../config.js";
import type { ReadonlyState } from "../../journal/journal.js";

/** What a principal's record may set; the daemon's `limits.<name>PerPrincipal` holds otherwise. */
export const QUOTAS = [
  "requestsPerSecond",
  "tokensPerSecond",
  "faultsPerSecond",
  "tokens",
  "concurrentCalls",
  "processes",
  "contexts",
  "contextTokens",
  "pinnedPages",
  "memoryPages",
  "swapBytes",
  "mailboxBytes",
  "realtime",
] as const;
export type QuotaName = (typeof QUOTAS)[number];

/** The setting that holds where the record says nothing. */
const SETTINGS = {
  requestsPerSecond: "requestsPerSecondPerPrincipal",
  tokensPerSecond: "tokensPerSecondPerPrincipal",
  faultsPerSecond: "faultsPerSecondPerPrincipal",
  tokens: "tokensPerPrincipal",
  concurrentCalls: "concurrentCallsPerPrincipal",
  processes: "processesPerPrincipal",
  contexts: "contextsPerPrincipal",
  contextTokens: "contextTokensPerPrincipal",
  pinnedPages: "pinnedPagesPerPrincipal",
  memoryPages: "memoryPagesPerPrincipal",
  swapBytes: "swapBytesPerPrincipal",
  mailboxBytes: "mailboxBytesPerPrincipal",
  realtime: "realtimePerPrincipal",
} as const satisfies Record<QuotaName, keyof Config["limits"]>;

/** Those of a principal's record. 0: no limit, of what may be without one (OPEN); else none at all. */
export type Quota = Readonly<Partial<Record<QuotaName, number>>>;

/** Those of a number of things: what is left of them is told where a record or a budget bounds them. */
export const COUNTED = [
  "processes",
  "contexts",
  "contextTokens",
  "pinnedPages",
  "concurrentCalls",
  "mailboxBytes",
] as const satisfies readonly QuotaName[];

/** Those that a process may be born with, for itself and all that it spawns. */
export const PROCESS_QUOTAS: readonly QuotaName[] = [
  "requestsPerSecond",
  "tokensPerSecond",
  "tokens",
  ...COUNTED,
  "memoryPages",
  "swapBytes",
];

export type Limits = Config["limits"];

/** What the principal may have of it; Infinity: no limit. */
export function principalLimit(
  { principals }: Pick<ReadonlyState, "principals">,
  limits: Limits,
  principal: string,
  name: QuotaName,
): number {
  const limit = principals.get(principal)?.quota?.[name] ?? limits[SETTINGS[name]];
  return isOpen(name) ? orNone(limit) : limit;
}

/** The limit of what has none. */
export const NONE = Number.POSITIVE_INFINITY;

/** Of what may be without a limit, 0 says so. */
export function orNone(limit: number): number {
  return limit === 0 ? NONE : limit;
}

/** What may be without a limit. */
const OPEN: ReadonlySet<QuotaName> = new Set([
  "requestsPerSecond",
  "tokensPerSecond",
  "faultsPerSecond",
  "tokens",
  "memoryPages",
  "swapBytes",
] satisfies QuotaName[]);

function isOpen(name: QuotaName): boolean {
  return OPEN.has(name);
}

/** Quotas of a cache: who is over one loses what he used least, and is not refused. */
export function isOfCache(name: QuotaName): name is "memoryPages" | "swapBytes" {
  return name === "memoryPages" || name === "swapBytes";
}

/** Quotas as they come over the wire. EINVAL for a name that is not offered, or twice. */
export function readQuota(
  entries: readonly { readonly quota: string; readonly limit: bigint }[],
  offered: readonly QuotaName[] = QUOTAS,
): Quota {
  const quota: Partial<Record<QuotaName, number>> = {};
  for (const { quota: name, limit } of entries) {
    const known = offered.find((one) => one === name);
    if (!known) {
      const message = `there is no quota "${name}"; one of ${offered.join(", ")}`;
      throw new ContixError("EINVAL", message, { argument: "quota" });
    }
    if (known in quota) {
      throw new ContixError("EINVAL", `${known} is given twice`, { argument: "quota" });
    }
    if (limit > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new ContixError("EINVAL", `${known} is ${limit}; too large`, { argument: "quota" });
    }
    quota[known] = Number(limit);
  }
  return quota;
}
