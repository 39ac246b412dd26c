/** The ctx syscalls: contexts that live on between calls. */
import { ContixError } from "../../proto/errno.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import { makeId } from "../ids.js";
import type { Context } from "../journal/journal.js";
import { type Kernel, NODE } from "../kernel.js";
import { checkWindow, tokenizeInput } from "./input.js";

export async function create(kernel: Kernel, call: Call): Promise<void> {
  const model = await kernel.engines.find(argumentsOf(call, "ctxCreate").model);
  using _ = model.hold();
  // One that has run is not started before there is something to do.
  const engine = model.engine ?? (await model.upFor(call));
  call.check();
  const limit = kernel.config.limits.contextsPerProcess;
  if (call.process.handles.size >= limit) {
    throw new ContixError("EDQUOT", `this process holds ${limit} contexts, its limit; close one`);
  }
  const cid = nextCid(kernel);
  const handle = call.process.nextHandle;
  const owner = call.process.pid;
  const { engineDigest, slotTokens } = engine.ready;
  const value = { handle, cid, window: slotTokens, model: model.name };
  const belongs = { model: model.name, engine: engineDigest };
  call.done({ $case: "ctxCreate", value }, [
    { type: "ctx.created", cid, owner, handle, ...belongs },
  ]);
}

export async function append(kernel: Kernel, call: Call): Promise<void> {
  const context = theContext(call);
  const { input } = argumentsOf(call, "ctxAppend");
  using _ = lockContext(kernel, context);
  const model = kernel.engines.modelOf(context);
  using _held = model.hold();
  const engine = await model.upFor(call);
  const { tokens, tail } = await tokenizeInput(engine, context, input);
  call.check();
  if (tokens.length === 0) {
    throw new ContixError("EINVAL", "there is nothing to append", { argument: "input" });
  }
  checkWindow(engine, context, tokens.length);
  const length = context.tokens.length + tokens.length;
  kernel.accounts.of(call.process.pid).tokensIn += tokens.length;
  const value = { appended: tokens.length, length };
  call.done({ $case: "ctxAppend", value }, [{ type: "ctx.given", cid: context.cid, tokens, tail }]);
}

export function stat(kernel: Kernel, call: Call): void {
  const context = theContext(call);
  const length = context.tokens.length;
  let given = 0;
  context.runs.forEach((run, i) => {
    if (run.given) given += (context.runs[i + 1]?.start ?? length) - run.start;
  });
  const { placer, ready } = kernel.engines.of(context);
  const slot = placer.table.of(context.cid);
  call.done({
    $case: "ctxStat",
    value: {
      cid: context.cid,
      length,
      given,
      generated: length - given,
      resident: slot?.resident ?? 0,
      slot: slot?.index ?? -1,
      window: ready.slotTokens,
      model: context.model,
    },
  });
}

export function close(kernel: Kernel, call: Call): void {
  const context = theContext(call);
  using _ = lockContext(kernel, context);
  kernel.engines.drop(context);
  call.done({ $case: "ctxClose", value: {} }, [{ type: "ctx.closed", cid: context.cid }]);
}

export function nextCid(kernel: Kernel): bigint {
  return makeId(NODE, kernel.journal.state.counters.cid + 1);
}

/** The context that the table's row made the trap resolve. */
export function theContext(call: Call): Context {
  if (!call.context) throw new ContixError("EBADF", "the call needs a context's handle");
  return call.context;
}

/** One append or generation at a time on a context: EBUSY for a second. */
export function lockContext(kernel: Kernel, context: Context): Disposable {
  const { busyContexts } = kernel;
  if (busyContexts.has(context.cid)) {
    throw new ContixError("EBUSY", "another call is using this context", { argument: "handle" });
  }
  busyContexts.add(context.cid);
  return { [Symbol.dispose]: () => void busyContexts.delete(context.cid) };
}
