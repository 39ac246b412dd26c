/** What the pager is given of the kernel, and how a context is told to page. */
import { ContixError } from "../../../proto/errno.js";
import type { CtxCreateCall } from "../../../proto/gen/contix/v1/calls.js";
import type { Call } from "../../call.js";
import type { Engine } from "../../engines/engine.js";
import type { Kernel } from "../../kernel.js";
import type { PagerPorts } from "./pager.js";
import { OVERFLOW_POLICIES, type OverflowPolicy } from "./segments.js";
import { summarize } from "./summary.js";

/** For a call that may need room in a context. */
export function pagerPorts(kernel: Kernel, call: Call, engine: Engine): PagerPorts {
  const { filedTokens } = kernel.config.limits;
  return {
    engine,
    filedTokens,
    summarize: (tokens, turn) => summarize(kernel, call, engine, tokens, turn),
  };
}

/** How a context that is created deals with overflow: as its creator says, else as configured. EINVAL. */
export function overflowOf(
  kernel: Pick<Kernel, "config">,
  { overflow, summaries }: Pick<CtxCreateCall, "overflow" | "summaries">,
): { overflow: OverflowPolicy; summaries: boolean } {
  if (overflow === "") return { overflow: kernel.config.overflow, summaries };
  const policy = OVERFLOW_POLICIES.find((name) => name === overflow);
  if (policy) return { overflow: policy, summaries };
  const message = `overflow is "${overflow}"; it must be one of ${OVERFLOW_POLICIES.join(", ")}`;
  throw new ContixError("EINVAL", message, { argument: "overflow" });
}
