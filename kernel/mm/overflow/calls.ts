/**
 * The syscalls on what was moved out: find it, bring it back, forget it.
 *
 * A recalled segment comes to the context's end, not to its old place. There it costs
 * its own prefill; in the middle, everything behind it would have to be computed again,
 * and would count as given. Its tokens are what they were: ids make no round trip
 * through text. It stays filed too, so when the copy is moved out later nothing is lost.
 */
import { ContixError } from "../../../proto/errno.js";
import { argumentsOf, inRange } from "../../args.js";
import type { Call } from "../../call.js";
import type { Engine } from "../../engines/engine.js";
import type { Context } from "../../journal/journal.js";
import type { Kernel } from "../../kernel.js";
import { theContext } from "../calls.js";
import { closingTokens } from "../input.js";
import { growth } from "../quota.js";
import { bm25 } from "./bm25.js";
import { afterChange, beforeEdit, toCtxEdit } from "./events.js";
import { type Ending, filedBy, fit, type Tokenized } from "./pager.js";
import { pagerPorts } from "./ports.js";
import type { Filed, Segment } from "./segments.js";

/** What `filed` names when nobody says how many. */
const LISTED = 100;
/** And at most. */
const LIMIT = 1000;
/** Tokens of a segment's beginning, as a list shows it. */
const HEAD = 32;
/** The longest query, characters. */
const QUERY = 4096;

export async function recall(kernel: Kernel, call: Call): Promise<void> {
  const context = theContext(call);
  const { what } = argumentsOf(call, "ctxRecall");
  using lock = kernel.life.lock(context);
  call.onEnd(() => lock[Symbol.dispose]());
  const model = kernel.engines.modelOf(context);
  using _held = model.hold();
  const engine = await model.upFor(call);
  const found = what?.$case === "query" ? await best(engine, context, what.value) : undefined;
  const segment = found ?? byHandle(context, what?.$case === "segment" ? what.value : 0);
  const { tokens, id } = segment;
  const { texts } = await engine.driver.ask({
    $case: "decode",
    value: { tokens: [...tokens], ends: [tokens.length] },
  });
  call.check();
  const answer = { segment: id, text: texts[0] ?? "" };
  // A copy that was cut is none.
  const whole = (one: Segment): boolean => one.copyOf === id && one.tokens >= tokens.length;
  if (context.paging.segments.some(whole)) {
    const value = { ...answer, appended: 0, length: context.tokens.length, edit: undefined };
    call.done({ $case: "ctxRecall", value });
    return;
  }
  const { input, edit } = await fit(pagerPorts(kernel, call, engine), context, {
    tokenize: (ending) => copy(engine, ending, segment),
    answer: 0,
  });
  call.check();
  const appended = input.tokens.length;
  const length = (edit ? edit.from + edit.tokens.length : context.tokens.length) + appended;
  kernel.quotas.checkContext(context, growth(context, length, filedBy(edit)));
  kernel.rates.spend(call.process, appended);
  kernel.accounts.of(call.process.pid).tokensIn += appended;
  const value = { ...answer, appended, length, edit: toCtxEdit(edit) };
  const given = { type: "ctx.given" as const, cid: context.cid, ...input };
  call.done({ $case: "ctxRecall", value }, [...beforeEdit(kernel, context, edit), given]);
  afterChange(kernel, context, edit);
}

export async function filed(kernel: Kernel, call: Call): Promise<void> {
  const context = theContext(call);
  const { query, limit } = argumentsOf(call, "ctxFiled");
  inRange("limit", limit, 0, LIMIT);
  const { paging } = context;
  const model = kernel.engines.modelOf(context);
  using _held = model.hold();
  const engine = await model.upFor(call);
  const ranked =
    query === ""
      ? [...paging.filed.values()].map((segment) => ({ segment, score: 0 }))
      : await search(engine, context, query);
  const shown = ranked.slice(0, limit === 0 ? LISTED : limit);
  const begins = await beginnings(
    engine,
    shown.map(({ segment }) => segment),
  );
  const segments = shown.map(({ segment, score }, i) => {
    const { id, kind, role, tokens } = segment;
    return { segment: id, kind, role, tokens: tokens.length, begins: begins[i] ?? "", score };
  });
  const value = { segments, count: paging.filed.size, tokens: paging.filedTokens };
  call.done({ $case: "ctxFiled", value });
}

export function forget(kernel: Kernel, call: Call): void {
  const context = theContext(call);
  const { segments } = argumentsOf(call, "ctxForget");
  using _ = kernel.life.lock(context);
  for (const id of segments) byHandle(context, id);
  const record = { type: "ctx.forgot" as const, cid: context.cid, segments };
  call.done({ $case: "ctxForget", value: {} }, [record]);
}

/** The filed segments that have something in common with the query, the best first, of equal ones the older. */
async function search(
  engine: Engine,
  { paging }: Pick<Context, "paging">,
  query: string,
): Promise<{ segment: Filed; score: number }[]> {
  if (query.length > QUERY) {
    const message = `a query of ${query.length} characters; at most ${QUERY}`;
    throw new ContixError("E2BIG", message, { argument: "query" });
  }
  const { tokens, ends } = await engine.driver.ask({ $case: "query", value: { text: query } });
  const forms = ends.map((end, i) => tokens.slice(ends[i - 1] ?? 0, end));
  const all = [...paging.filed.values()];
  const scores = bm25(
    forms,
    all.map((segment) => segment.tokens),
  );
  return all
    .map((segment, i) => ({ segment, score: scores[i] ?? 0 }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || a.segment.id - b.segment.id);
}

async function best(engine: Engine, context: Context, query: string): Promise<Filed> {
  if (query.trim() === "") throw new ContixError("EINVAL", "query is empty", { argument: "query" });
  const [first] = await search(engine, context, query);
  if (first) return first.segment;
  const message = `none of the ${context.paging.filed.size} segments that were moved out has a word of the query`;
  throw new ContixError("ENOENT", message, { argument: "query" });
}

function byHandle({ paging }: Pick<Context, "paging">, id: number): Filed {
  const segment = paging.filed.get(id);
  if (segment) return segment;
  const here = paging.segments.some((one) => one.id === id && id > 0);
  const why = here ? "is still in the context" : "is none that was moved out; ctx.filed lists them";
  throw new ContixError("ENOENT", `segment ${id} ${why}`, { argument: "segment" });
}

/** The tokens of a filed segment as an input; a turn that is open before it is closed. */
async function copy(engine: Engine, ending: Ending, segment: Filed): Promise<Tokenized> {
  const closing = segment.turn ? await closingTokens(engine, ending) : [];
  const { id, role, turn } = segment;
  const joins = { kind: "history", role: "assistant", pinned: false, turn: true } as const;
  const own = { kind: "scratch", role, pinned: false, turn, copyOf: id } as const;
  return {
    tokens: [...closing, ...segment.tokens],
    tail: segment.open ? "assistant" : turn ? "closed" : "text",
    parts: [
      { ...joins, joins: true, tokens: closing.length },
      { ...own, tokens: segment.tokens.length },
    ],
  };
}

async function beginnings(engine: Engine, segments: readonly Filed[]): Promise<string[]> {
  const tokens: number[] = [];
  const ends = segments.map((segment) => {
    for (const token of segment.tokens.slice(0, HEAD)) tokens.push(token);
    return tokens.length;
  });
  const { texts } = await engine.driver.ask({ $case: "decode", value: { tokens, ends } });
  return texts.map((text) => text.replaceAll("\ufffd", "").trim());
}
