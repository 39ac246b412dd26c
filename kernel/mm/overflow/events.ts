/**
 * What a process hears of its contexts' overflow: CTXHIGH when one passes three
 * quarters of its window, once until it is below again, so that it may make room in
 * its own way; CTXEDIT when the pager moved segments out. The reply of the call that
 * needed the room says the same; the signal is for whoever did not make the call, and
 * for a call that fails later on.
 */
import type { CtxEdit } from "../../../proto/gen/contix/v1/calls.js";
import type { Context } from "../../journal/journal.js";
import type { Kernel } from "../../kernel.js";
import { type Edit, filedBy } from "./pager.js";

const MARK = 3 / 4;

/** The edit as its caller sees it; undefined: there was none. */
export function toCtxEdit(edit: Edit | undefined): CtxEdit | undefined {
  if (!edit) return undefined;
  const movedOut = edit.filed.map(({ id }) => id);
  const { from: kept } = edit;
  return { movedOut, tokens: filedBy(edit), kept, length: kept + edit.tokens.length };
}

/** Before an edit goes to the journal: the KV behind the cut is void. Gives the records of it. */
export function beforeEdit(kernel: Kernel, context: Context, edit: Edit | undefined): Edit[] {
  if (!edit) return [];
  kernel.engines.cut(context, validAfter(context, edit.from));
  return [edit];
}

/** After an append, an edit or a generation is in the journal: the owner hears what it should. */
export function afterChange(kernel: Kernel, context: Context, edit?: Edit): void {
  if (edit) {
    // Pages that it has no more it pins no more.
    kernel.engines.walk(context);
    tell(kernel, context, "CTXEDIT", toCtxEdit(edit));
  }
  watchMark(kernel, context);
}

/**
 * A given run that keeps its first token only may be entered by decode from now on,
 * and it was not: that token goes too.
 */
function validAfter({ runs }: Pick<Context, "runs">, from: number): number {
  const run = runs.findLast(({ start }) => start < from);
  return run?.given && from - run.start === 1 ? run.start : from;
}

/** Notes whether the context is past its mark; its owner hears when it has passed it. */
function watchMark(kernel: Kernel, context: Context): void {
  const { journal } = kernel;
  const now = journal.state.contexts.get(context.cid);
  if (!now || now.handle === 0) return;
  const { cid, tokens, paging } = now;
  const high = tokens.length > kernel.engines.of(now).ready.slotTokens * MARK;
  if (high === paging.high) return;
  journal.append({ type: "ctx.high", cid, high });
  if (high) tell(kernel, now, "CTXHIGH", undefined);
}

function tell(kernel: Kernel, context: Context, name: string, edit: CtxEdit | undefined): void {
  const { cid, owner, tokens } = context;
  const window = kernel.engines.of(context).ready.slotTokens;
  const event = { cid, length: tokens.length, window, edit };
  kernel.trap.port(owner)?.signal({ name, fromPid: 0n, context: event, quota: undefined });
}
