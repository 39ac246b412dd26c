/**
 * Tokens: who speaks. The admin token lies in the 0700 home; a spawned agent has
 * a one-time token; an attached process has a resume token. Only hashes are kept.
 */
import { createHash, timingSafeEqual } from "node:crypto";

export function tokenHash(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Compares a token with a hash in constant time. An empty hash matches nothing. */
export function tokenMatches(token: string, hash: string): boolean {
  if (hash === "") return false;
  const a = Buffer.from(tokenHash(token), "hex");
  const b = Buffer.from(hash, "hex");
  return a.length === b.length && timingSafeEqual(a, b);
}
