/**
 * The names of pages: a chain of hashes. A page's name is the sha256 over the name of
 * the page before it, its tokens and the ways they entered; the first page has in place
 * of a parent's name a seed, made of the salt (who may share) and the engine digest. So
 * a name stands for the whole history up to its page, and equal histories have equal
 * names. As in vLLM's and nano-vLLM's block managers, a name finds and tokens decide.
 */
import { hash } from "node:crypto";
import type { ContextState, Run } from "../journal/state.js";
import { PAGE_TOKENS } from "./page.js";

/** A context's tokens and which of them were given. */
export interface PagedHistory {
  readonly tokens: readonly number[];
  readonly runs: readonly Run[];
}

const NAME_BYTES = 32;
/** Parent's name, count and ways, tokens. */
const buffer = Buffer.alloc(NAME_BYTES + 8 + 4 * PAGE_TOKENS);

/** What stands for a parent's name before the first page of a history. */
export function rootName(salt: string, engineDigest: string): string {
  return hash("sha256", JSON.stringify(["contix page", 1, salt, engineDigest]), "base64");
}

/** The name of a page: `parent` is the name before it (or rootName's), 1 to 16 tokens. */
export function pageName(parent: string, tokens: readonly number[], ways: number): string {
  buffer.write(parent, 0, NAME_BYTES, "base64");
  let at = buffer.writeUInt32LE(tokens.length, NAME_BYTES);
  at = buffer.writeUInt32LE(ways, at);
  for (const token of tokens) at = buffer.writeUInt32LE(token, at);
  return hash("sha256", buffer.subarray(0, at), "base64");
}

/** A name as the driver's protocol carries it: 32 bytes. */
export function nameBytes(name: string): Buffer {
  return Buffer.from(name, "base64");
}

/**
 * How tokens [start, end) of a history enter, as a bit each (law 2): set is decode, for
 * what was generated and for a given run of exactly one token; the others by prefill. Of a
 * history without runs (one-way.ts) no bit is set.
 */
export function waysOf({ tokens, runs }: PagedHistory, start: number, end: number): number {
  let ways = 0;
  if (runs.length === 0) return ways;
  for (let i = runIndex(runs, start), at = start; at < end; i++) {
    const from = runs[i]?.start ?? 0;
    const to = runs[i + 1]?.start ?? tokens.length;
    const decoded = runs[i]?.given === false || to - from === 1;
    for (; at < Math.min(to, end); at++) if (decoded) ways |= 1 << (at - start);
    if (at >= tokens.length) break;
  }
  return ways;
}

/**
 * Who may share a context's pages: the processes of its principal, or everybody who asked
 * for that as well.
 */
export function saltOf(context: Pick<ContextState, "principal" | "share">): string {
  return context.share === "all" ? "all" : `principal:${context.principal}`;
}

/** The run that holds position `at`: the last that does not begin behind it. */
function runIndex(runs: readonly Run[], at: number): number {
  let low = 0;
  let high = runs.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((runs[middle]?.start ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}
