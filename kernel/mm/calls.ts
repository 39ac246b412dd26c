/** The ctx syscalls that make, fill and close contexts. */
import { ContixError } from "../../proto/errno.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import { makeId } from "../ids.js";
import type { Context } from "../journal/journal.js";
import { type Kernel, NODE } from "../kernel.js";
import { shareOf, ttlOf } from "./context-options.js";
import { tokenizeInput } from "./input.js";
import { afterChange, beforeEdit, toCtxEdit } from "./overflow/events.js";
import { filedBy, fit } from "./overflow/pager.js";
import { overflowOf, pagerPorts } from "./overflow/ports.js";
import { growth } from "./quota.js";

export async function create(kernel: Kernel, call: Call): Promise<void> {
  const args = argumentsOf(call, "ctxCreate");
  const life = { share: shareOf(args.share), ttlUs: ttlOf(args.ttlUs) };
  const options = { ...life, ...overflowOf(kernel, args) };
  const model = await kernel.engines.find(args.model);
  using _ = model.hold();
  // One that has run is not started before there is something to do.
  const engine = model.engine ?? (await model.upFor(call));
  call.check();
  kernel.quotas.check(call.process, { contexts: 1 });
  const cid = nextCid(kernel);
  const handle = call.process.nextHandle;
  const owner = call.process.pid;
  const { engineDigest, slotTokens } = engine.ready;
  const value = { handle, cid, window: slotTokens, model: model.name };
  const belongs = { model: model.name, engine: engineDigest, ...options };
  call.done({ $case: "ctxCreate", value }, [
    { type: "ctx.created", cid, owner, handle, ...belongs, at: kernel.clock.now() },
  ]);
  kernel.life.touch(cid);
}

export async function append(kernel: Kernel, call: Call): Promise<void> {
  const context = theContext(call);
  const { input, segment, keep } = argumentsOf(call, "ctxAppend");
  using lock = kernel.life.lock(context);
  // Whoever cancels finds the context idle; what the tokenizer still answers is for nobody.
  call.onEnd(() => lock[Symbol.dispose]());
  const model = kernel.engines.modelOf(context);
  using _held = model.hold();
  const engine = await model.upFor(call);
  const fitted = await fit(pagerPorts(kernel, call, engine), context, {
    tokenize: (ending) => tokenizeInput(engine, ending, input, { segment, keep }),
    answer: 0,
  });
  call.check();
  const { edit } = fitted;
  const { tokens } = fitted.input;
  if (tokens.length === 0) {
    throw new ContixError("EINVAL", "there is nothing to append", { argument: "input" });
  }
  const before = edit ? edit.from + edit.tokens.length : context.tokens.length;
  const length = before + tokens.length;
  kernel.quotas.checkContext(context, growth(context, length, filedBy(edit)));
  kernel.rates.spend(call.process, tokens.length);
  kernel.accounts.of(call.process.pid).tokensIn += tokens.length;
  const value = { appended: tokens.length, length, edit: toCtxEdit(edit) };
  const given = { type: "ctx.given" as const, cid: context.cid, ...fitted.input };
  call.done({ $case: "ctxAppend", value }, [...beforeEdit(kernel, context, edit), given]);
  afterChange(kernel, context, edit);
}

export function close(kernel: Kernel, call: Call): void {
  const context = theContext(call);
  using _ = kernel.life.lock(context);
  call.done({ $case: "ctxClose", value: {} }, [kernel.life.close(context)]);
}

export function nextCid(kernel: Kernel): bigint {
  return makeId(NODE, kernel.journal.state.counters.cid + 1);
}

/** The context that the table's row made the trap resolve. */
export function theContext(call: Call): Context {
  if (!call.context) throw new ContixError("EBADF", "the call needs a context's handle");
  return call.context;
}
