/** ctx.stat and ctx.list: where contexts stand. */
import type { CtxSegment, CtxStatResult } from "../../proto/gen/contix/v1/calls.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import { askerOf } from "../cap/calls.js";
import { sees } from "../cap/check.js";
import type { Context, Process } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { theContext } from "./calls.js";
import { PAGE_TOKENS } from "./page.js";

/** The most moved out segments that `stat` names. */
const SHOWN = 1000;

export function stat(kernel: Kernel, call: Call): void {
  const context = theContext(call);
  const value = { ...describe(kernel, call.process, context), segments: segmentsOf(context) };
  call.done({ $case: "ctxStat", value });
}

/** The caller's; with `all` those that its namespaces show it. Those of one call only are none. */
export function list(kernel: Kernel, call: Call): void {
  const { all } = argumentsOf(call, "ctxList");
  const { pid } = call.process;
  const asker = askerOf(kernel, call);
  const contexts: CtxStatResult[] = [];
  for (const context of kernel.journal.state.contexts.values()) {
    if (context.owner !== 0n && context.handle === 0) continue;
    const own = context.owner === pid;
    if (own || (all && sees(asker, context.principal)))
      contexts.push(describe(kernel, call.process, context));
  }
  call.done({ $case: "ctxList", value: { contexts } });
}

function describe(kernel: Kernel, caller: Process, context: Context): CtxStatResult {
  const { cid, owner, principal, model, pinned, share, from } = context;
  const { life, clock, engines } = kernel;
  const { length } = context.tokens;
  const given = givenTokens(context);
  const engine = engines.running.find((running) => running.model === model);
  const slot = engine?.placer.table.of(cid);
  const { frames = 0, blocks = 0 } = engine?.placer.pool.residency(cid) ?? {};
  return {
    cid,
    length,
    given,
    generated: length - given,
    resident: slot?.resident ?? 0,
    slot: slot?.index ?? -1,
    window: engine?.ready.slotTokens ?? 0,
    model,
    owner,
    principal,
    pinned,
    share,
    ttlUs: BigInt(context.ttlUs),
    idleUs: BigInt(life.idleUs(context)),
    ageUs: BigInt(clock.now() - context.createdAt),
    from,
    busy: life.isBusy(cid),
    engine: context.engine,
    handle: owner === caller.pid ? context.handle : 0,
    pages: Math.floor(length / PAGE_TOKENS),
    pagesInMemory: frames,
    pagesSwapped: blocks,
    // They would make a list of many contexts very long.
    segments: [],
    filedSegments: context.paging.filed.size,
    filedTokens: context.paging.filedTokens,
    overflow: context.paging.policy,
    summaries: context.paging.summaries,
  };
}

/** What it is made of, then what was moved out. */
function segmentsOf({ paging }: Context): CtxSegment[] {
  const here = paging.segments.map(({ id, turn: _, stands, ...rest }) => {
    return { ...rest, segment: id, stands: [...stands], filed: false };
  });
  const filed: CtxSegment[] = [];
  for (const { id, kind, role, tokens } of paging.filed.values()) {
    if (filed.length === SHOWN) break;
    const rest = { pinned: false, filed: true, copyOf: 0, stands: [] };
    filed.push({ segment: id, kind, role, tokens: tokens.length, ...rest });
  }
  return [...here, ...filed];
}

function givenTokens({ runs, tokens }: Context): number {
  let given = 0;
  runs.forEach((run, i) => {
    if (run.given) given += (runs[i + 1]?.start ?? tokens.length) - run.start;
  });
  return given;
}
