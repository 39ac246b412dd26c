/**
 * ctx.truncate: a context goes back to its first tokens. What is kept keeps its
 * class; what comes later is given or generated anew. The KV of what is kept stays
 * where it is, but for one case: a given run that is cut to its first token now
 * enters by decode, and it had entered by prefill (law 2).
 */
import { argumentsOf, inRange } from "../args.js";
import type { Call } from "../call.js";
import type { Context } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { theContext } from "./calls.js";
import { afterChange } from "./overflow/events.js";

export function truncate(kernel: Kernel, call: Call): void {
  const context = theContext(call);
  const { cid } = context;
  const before = context.tokens.length;
  const { length } = argumentsOf(call, "ctxTruncate");
  inRange("length", length, 0, before);
  using _ = kernel.life.lock(context);
  kernel.engines.cut(context, validAfterCut(context, length));
  const value = { removed: before - length, length };
  call.done({ $case: "ctxTruncate", value }, [{ type: "ctx.truncated", cid, length }]);
  // Pages that it has no more it pins no more.
  kernel.engines.walk(context);
  afterChange(kernel, context);
}

/** Tokens from the start whose KV is as the history of `length` tokens says. */
export function validAfterCut({ runs, tokens }: Pick<Context, "runs" | "tokens">, length: number) {
  const i = runs.findLastIndex((run) => run.start < length);
  const run = runs[i];
  const end = runs[i + 1]?.start ?? tokens.length;
  const lone = run?.given && length - run.start === 1 && end > length;
  return lone ? run.start : length;
}
