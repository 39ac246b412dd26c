/**
 * ctx.fork: a new context with the same tokens. Only their list is copied: equal
 * histories have the same pages, so what the source has computed is there for the
 * fork, and KV is copied when a slot needs it.
 */
import { argumentsOf, inRange } from "../args.js";
import type { Call } from "../call.js";
import type { Kernel } from "../kernel.js";
import { nextCid, theContext } from "./calls.js";
import { ttlOf } from "./context-options.js";

export function fork(kernel: Kernel, call: Call): void {
  const source = theContext(call);
  const { length = source.tokens.length, ttlUs } = argumentsOf(call, "ctxFork");
  inRange("length", length, 0, source.tokens.length);
  const { slotTokens } = kernel.engines.of(source).ready;
  const { pid, nextHandle } = call.process;
  // What was moved out of the source the fork may recall too.
  kernel.quotas.check(call.process, { contexts: 1, tokens: length + source.paging.filedTokens });
  const cid = nextCid(kernel);
  const value = { handle: nextHandle, cid, window: slotTokens, model: source.model };
  call.done({ $case: "ctxFork", value }, [
    {
      type: "ctx.forked",
      cid,
      from: source.cid,
      owner: pid,
      handle: nextHandle,
      length,
      ttlUs: ttlOf(ttlUs),
      at: kernel.clock.now(),
    },
  ]);
  kernel.engines.forked(source, cid);
  kernel.life.touch(source.cid);
  kernel.life.touch(cid);
}
