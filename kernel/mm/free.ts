/** sys.free: what there is of memory for contexts, and who has it. */
import type { Holder, ModelMemory, Tier } from "../../proto/gen/contix/v1/calls.js";
import { argumentsOf } from "../args.js";
import type { Call } from "../call.js";
import { askerOf } from "../cap/calls.js";
import { sees } from "../cap/check.js";
import type { Engine } from "../engines/engine.js";
import type { Context } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { droppedPages } from "./dropped.js";
import { pagesOf } from "./quota.js";

/** Holders that are named when nobody says how many. */
const TOP = 10;

export function free(kernel: Kernel, call: Call): void {
  const { top } = argumentsOf(call, "free");
  const { engines } = kernel;
  const value = {
    models: engines.running.map((engine) => memoryOf(kernel, engine)),
    holders: holders(kernel, call).slice(0, top === 0 ? TOP : top),
    memoryBudget: BigInt(engines.memoryBudget),
    memoryUsed: BigInt(engines.memoryUsed),
  };
  call.done({ $case: "free", value });
}

function memoryOf(kernel: Kernel, engine: Engine): ModelMemory {
  const { model, loop, placer } = engine;
  let contexts = 0;
  let tokens = 0;
  for (const context of kernel.journal.state.contexts.values()) {
    if (context.model !== model) continue;
    contexts++;
    tokens += context.tokens.length;
  }
  const { tokensPrefilled, tokensDecoded } = loop.counters;
  const { hits, misses, badPages, swapErrors, refused } = placer.pool.counters;
  return {
    model,
    tiers: [slotsTier(engine), ...poolTiers(engine), droppedTier(kernel, engine)],
    contexts,
    contextTokens: BigInt(tokens),
    tokensEntered: BigInt(tokensPrefilled + tokensDecoded),
    tokensRecomputed: BigInt(placer.recomputed),
    pagesAsked: BigInt(hits + misses),
    pagesFound: BigInt(hits),
    pagesBad: BigInt(badPages),
    swapErrors: BigInt(swapErrors),
    pagesRefused: BigInt(refused),
  };
}

function slotsTier({ ready, placer }: Engine): Tier {
  const { slots } = placer.table;
  const { pageBytes, slotTokens } = ready;
  const resident = slots.reduce((sum, slot) => sum + pagesOf(slot.resident), 0);
  return {
    name: "slots",
    places: slots.length,
    used: slots.filter((slot) => slot.cid !== undefined).length,
    bytes: BigInt(slots.length * pagesOf(slotTokens) * pageBytes),
    bytesUsed: BigInt(resident * pageBytes),
    evicted: 0n,
  };
}

/** Pages outside the slots; a tier that the driver has no room for is left out. */
function poolTiers({ placer }: Engine): Tier[] {
  const { frames, blocks, pageBytes } = placer.pool;
  const tier = (name: string, { count, free, evicted }: typeof frames): Tier => ({
    name,
    places: count,
    used: count - free,
    bytes: BigInt(count * pageBytes),
    bytesUsed: BigInt((count - free) * pageBytes),
    evicted: BigInt(evicted),
  });
  return [tier("memory", frames), tier("swap", blocks)].filter(({ places }) => places > 0);
}

/** What is in no tier: of it only the tokens are kept, and it is computed when it is needed. */
function droppedTier({ journal }: Kernel, engine: Engine): Tier {
  const used = droppedPages(journal.state.contexts.values(), engine);
  return { name: "dropped", places: 0, used, bytes: 0n, bytesUsed: 0n, evicted: 0n };
}

/** Who holds contexts, those with most tokens first: those that the caller's namespaces show it. */
function holders(kernel: Kernel, call: Call): Holder[] {
  const { state } = kernel.journal;
  const asker = askerOf(kernel, call);
  const byOwner = new Map<string, Holder>();
  for (const context of state.contexts.values()) {
    if (!sees(asker, context.principal)) continue;
    const { owner } = context;
    // What is kept is its principal's.
    const key = owner === 0n ? context.principal : String(owner);
    const holder = byOwner.get(key) ?? {
      pid: owner,
      name: state.processes.get(owner)?.name ?? "",
      principal: context.principal,
      contexts: 0,
      tokens: 0n,
      resident: 0,
      pinnedPages: 0,
    };
    byOwner.set(key, add(kernel, holder, context));
  }
  return [...byOwner.values()].sort((a, b) => Number(b.tokens - a.tokens));
}

function add(kernel: Kernel, holder: Holder, { cid, model, tokens, pinned }: Context): Holder {
  const engine = kernel.engines.running.find((running) => running.model === model);
  return {
    ...holder,
    contexts: holder.contexts + 1,
    tokens: holder.tokens + BigInt(tokens.length),
    resident: holder.resident + (engine?.placer.table.of(cid)?.resident ?? 0),
    pinnedPages: holder.pinnedPages + (pinned ? pagesOf(tokens.length) : 0),
  };
}
