/** ctx.give and ctx.open: contexts change hands, within their principal. */
import { ContixError } from "../../proto/errno.js";
import type { Call } from "../call.js";
import { showId } from "../ids.js";
import type { Context, Process } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { theContext } from "./calls.js";
import { weightOf } from "./quota.js";

export function give(kernel: Kernel, call: Call): void {
  const context = theContext(call);
  const { cid } = context;
  const to = call.target;
  using _ = kernel.life.lock(context);
  if (!to) {
    const kept = { type: "ctx.moved" as const, cid, owner: 0n, handle: 0 };
    call.done({ $case: "ctxGive", value: { handle: 0 } }, [kept]);
    return;
  }
  if (to.principal !== context.principal) {
    const message = `process ${showId(to.pid)} is ${to.principal}'s, the context ${context.principal}'s`;
    throw new ContixError("EPERM", message, { argument: "pid" });
  }
  if (to.pid !== context.owner) checkRoom(kernel, to, context);
  const handle = to.nextHandle;
  const moved = { type: "ctx.moved" as const, cid, owner: to.pid, handle };
  call.done({ $case: "ctxGive", value: { handle } }, [moved]);
}

export function open(kernel: Kernel, call: Call): void {
  const { process } = call;
  const context = theContext(call);
  const { cid, owner, model } = context;
  const window = kernel.engines.of(context).ready.slotTokens;
  if (owner === process.pid) {
    call.done({ $case: "ctxOpen", value: { handle: context.handle, cid, window, model } });
    return;
  }
  if (owner !== 0n) {
    const message = `process ${showId(owner)} holds ${showId(cid)}; only it can give it away (ctx.give)`;
    throw new ContixError("EBUSY", message, { argument: "cid" });
  }
  using _ = kernel.life.lock(context);
  checkRoom(kernel, process, context);
  const handle = process.nextHandle;
  const moved = { type: "ctx.moved" as const, cid, owner: process.pid, handle };
  call.done({ $case: "ctxOpen", value: { handle, cid, window, model } }, [moved]);
}

/** What the context counts for must fit into its new owner's quotas; its principal has it already. */
function checkRoom({ quotas }: Kernel, to: Process, context: Context): void {
  quotas.checkProcess(to, { contexts: 1, ...weightOf(context) });
}
