/** What a generation cost. */
import type { Usage as WireUsage } from "../proto/gen/contix/v1/kernel.js";

export interface Usage {
  /** Given tokens of the context at the call's start, the prompt included. */
  readonly promptTokens: number;
  /** Of the context's tokens, those that were found in a slot. */
  readonly cachedTokens: number;
  readonly generatedTokens: number;
  /** Tokens that entered a slot again after their KV was lost. */
  readonly recomputedTokens: number;
  /** Time the call was ready but had no slot, milliseconds. */
  readonly queuedMs: number;
  /** Time in a slot, milliseconds. */
  readonly servedMs: number;
  /** From the call's arrival at the kernel to its first token, milliseconds. */
  readonly firstTokenMs: number;
  /** Generated tokens a second in a slot, its prefill included; 0 when it had none. */
  readonly tokensPerSecond: number;
  /**
   * What is left of quotas that are limited, after the call: of the process's and its
   * principal's the smaller. Names: requestsPerSecond, tokensPerSecond, tokens (in all); and
   * processes, contexts, contextTokens, pinnedPages, concurrentCalls, mailboxBytes where the
   * principal's own record, or a quota given at spawn, bounds them.
   */
  readonly left: Readonly<Record<string, number>>;
}

/** Milliseconds for the microseconds of the wire. */
export function toMs(us: bigint): number {
  return Number(us) / 1000;
}

export function toUsage(wire: WireUsage | undefined): Usage {
  const servedMs = toMs(wire?.servedUs ?? 0n);
  const generatedTokens = wire?.generatedTokens ?? 0;
  return {
    promptTokens: wire?.promptTokens ?? 0,
    cachedTokens: wire?.cachedTokens ?? 0,
    generatedTokens,
    recomputedTokens: wire?.recomputedTokens ?? 0,
    queuedMs: toMs(wire?.queuedUs ?? 0n),
    servedMs,
    firstTokenMs: toMs(wire?.firstTokenUs ?? 0n),
    tokensPerSecond: servedMs === 0 ? 0 : (generatedTokens * 1000) / servedMs,
    left: Object.fromEntries((wire?.left ?? []).map(({ quota, left }) => [quota, Number(left)])),
  };
}
