/** What may be asked for when a context is made, by whatever call. */
import { ContixError } from "../../proto/errno.js";
import type { Share } from "../journal/records.js";

/** Shorter ones would end a context between two calls of an agent that is merely slow. */
const SHORTEST_TTL_US = 1000;

/** A time to live in microseconds; 0: none. EINVAL. */
export function ttlOf(us: bigint): number {
  if (us === 0n) return 0;
  if (us < BigInt(SHORTEST_TTL_US) || us > BigInt(Number.MAX_SAFE_INTEGER)) {
    const message = `ttl_us is ${us}; it must be 0 (none) or ${SHORTEST_TTL_US} to 2^53 - 1`;
    throw new ContixError("EINVAL", message, { argument: "ttl_us" });
  }
  return Number(us);
}

/** Whose pages a context may share; "" is its principal's. EINVAL. */
export function shareOf(text: string): Share {
  if (text === "" || text === "principal") return "principal";
  if (text === "all") return text;
  throw new ContixError("EINVAL", `share is "${text}"; it must be "principal" or "all"`, {
    argument: "share",
  });
}
