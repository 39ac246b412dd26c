/** What a caller may have: sys.limits, and what an administrator sets for a principal. */
import { argumentsOf } from "../../args.js";
import type { Call } from "../../call.js";
import type { Kernel } from "../../kernel.js";
import { readQuota } from "./quota.js";

export function limits(kernel: Kernel, call: Call): void {
  const all = kernel.rates.report(call.process).map(({ quota, of, limit, used }) => ({
    ...{ quota, of, unlimited: !Number.isFinite(limit) },
    limit: Number.isFinite(limit) ? BigInt(limit) : 0n,
    used: BigInt(Math.max(0, Math.round(used))),
  }));
  call.done({ $case: "limits", value: { limits: all } });
}

/** Replaces the quotas of a principal; those that are not named are the daemon's again. */
export function principalQuota(kernel: Kernel, call: Call): void {
  const { name, quota } = argumentsOf(call, "principalQuota");
  kernel.principals.setQuota(name, readQuota(quota));
  call.done({ $case: "principalQuota", value: {} });
}
