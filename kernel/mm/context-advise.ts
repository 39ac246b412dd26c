/** ctx.pin and ctx.advise: what a caller may say about where a context's pages should be. */
import { ContixError } from "../../proto/errno.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import type { Context } from "../journal/journal.js";
import type { JournalRecord, Need } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import { theContext } from "./calls.js";
import { shareOf } from "./context-options.js";
import { NEXT_CALL } from "./eviction/policy.js";
import { isAdvised } from "./process-waits.js";
import { pagesOf } from "./quota.js";

export function pin(kernel: Kernel, call: Call): void {
  const context = theContext(call);
  const { pinned } = argumentsOf(call, "ctxPin");
  // A generation under way has reserved no pages.
  using _ = kernel.life.lock(context);
  if (pinned && !context.pinned) {
    kernel.quotas.checkContext(context, { pinnedPages: pagesOf(context.tokens.length) });
  }
  call.done({ $case: "ctxPin", value: {} }, [{ type: "ctx.pinned", cid: context.cid, pinned }]);
  kernel.engines.walk(context);
}

export function advise(kernel: Kernel, call: Call): void {
  const context = theContext(call);
  const { cid } = context;
  const { need, pauseUs, share } = argumentsOf(call, "ctxAdvise");
  const effects: JournalRecord[] = [];
  if (need !== "" || pauseUs > 0n) {
    const kept = need === "" ? (context.advice?.need ?? "unknown") : needOf(need);
    const at = kernel.clock.now();
    effects.push({ type: "ctx.advised", cid, need: kept, pauseUs: pauseOf(pauseUs), at });
  }
  if (share !== "" && shareOf(share) !== context.share) {
    // A page's name says who may share it: pages that there are already keep theirs.
    if (context.tokens.length > 0) {
      const message = `share can be set while a context has no tokens; this one has ${context.tokens.length}`;
      throw new ContixError("EINVAL", message, { argument: "share" });
    }
    using _ = kernel.life.lock(context);
    effects.push({ type: "ctx.shared", cid, share: shareOf(share) });
  }
  call.done({ $case: "ctxAdvise", value: {} }, effects);
  tellPool(kernel, context);
  kernel.life.touch(cid);
}

/** For the eviction policy advice is a wait of its own kind, with an end that is known. */
function tellPool({ engines, clock }: Kernel, context: Context): void {
  const { advice } = context;
  if (!advice) return;
  if (!isAdvised(context)) {
    // What was said before holds no more.
    engines.waits(context, NEXT_CALL, clock.now());
    return;
  }
  const { need, pauseUs, at } = advice;
  const until = need === "dontneed" && pauseUs === 0 ? Number.MAX_SAFE_INTEGER : at + pauseUs;
  engines.waits(context, { kind: "advised", until }, clock.now());
}

function needOf(text: string): Need {
  if (text === "willneed" || text === "dontneed" || text === "unknown") return text;
  const message = `need is "${text}"; it must be "willneed", "dontneed" or "unknown"`;
  throw new ContixError("EINVAL", message, { argument: "need" });
}

function pauseOf(us: bigint): number {
  if (us <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(us);
  throw new ContixError("EINVAL", `pause_us is ${us}; it must be below 2^53`, {
    argument: "pause_us",
  });
}
