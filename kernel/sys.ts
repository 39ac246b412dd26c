/** The sys syscalls: what the kernel is, and its figures. */
import type { Call } from "./call.js";
import { BOUNDS_US } from "./call-times.js";
import { askerOf } from "./cap/calls.js";
import { type Asker, sees } from "./cap/check.js";
import type { Engine } from "./engines/engine.js";
import { ABI, type Kernel, NODE, VERSION } from "./kernel.js";
import { droppedPages } from "./mm/dropped.js";
import { countStates } from "./proc/ps.js";
import { queuesOf } from "./queues.js";

export function uname(kernel: Kernel, call: Call): void {
  const { engines, clock } = kernel;
  const { ready } = engines.defaultEngine;
  call.done({
    $case: "uname",
    value: {
      kernelVersion: VERSION,
      abi: ABI,
      node: `n${NODE}`,
      engineDigest: ready.engineDigest,
      model: engines.default.name,
      driver: ready.driver,
      uptimeUs: BigInt(clock.now() - kernel.startedAt),
      daemonPid: process.pid,
      driverPid: engines.default.driver.osPid,
    },
  });
}

/** Figures of the whole kernel: those of its engines, added up. */
export function stats(kernel: Kernel, call: Call): void {
  const { engines, trap } = kernel;
  const running = engines.running;
  const sum = (of: (engine: Engine) => number): number =>
    running.reduce((total, engine) => total + of(engine), 0);
  const { ready, sched } = engines.defaultEngine;
  const asker = askerOf(kernel, call);
  call.done({
    $case: "stats",
    value: {
      slots: sum((engine) => engine.ready.slots),
      slotsUsed: sum((engine) => engine.sched.running.length),
      slotTokens: ready.slotTokens,
      queued: sum((engine) => engine.sched.waiting),
      queueLimit: engines.default.admission.limit,
      tokensPrefilled: BigInt(sum(({ loop }) => loop.counters.tokensPrefilled)),
      tokensDecoded: BigInt(sum(({ loop }) => loop.counters.tokensDecoded)),
      tokensGenerated: BigInt(sum(({ loop }) => loop.counters.tokensGenerated)),
      tokensRecomputed: BigInt(sum(({ placer }) => placer.recomputed)),
      steps: BigInt(sum(({ loop }) => loop.counters.steps)),
      stepUs: BigInt(sum(({ loop }) => loop.counters.stepUs)),
      contextSwitches: BigInt(sum((engine) => engine.sched.contextSwitches)),
      driverRestarts: sum(({ driver }) => driver.restarts),
      policy: sched.policy,
      syscalls: BigInt(trap.syscalls),
      denied: BigInt(trap.denied),
      denials: [...trap.denials].map(([result, n]) => ({ result, calls: BigInt(n) })),
      door: kernel.doors.all().map(({ figures }) => figures),
      queue: queuesOf(kernel),
      callTime: trap.times.figures,
      slotWait: { call: "", ...trap.times.waits.figures },
      timeBoundsUs: BOUNDS_US.map(BigInt),
      slot: running.flatMap((engine) => slotsOf(engine, kernel, asker)),
      memoryBudget: BigInt(engines.memoryBudget),
      memoryUsed: BigInt(engines.memoryUsed),
      ...pagesOfTiers(sum),
      ...pagesLost(sum, kernel),
      ...countStates(kernel, asker),
    },
  });
}

type Sum = (of: (engine: Engine) => number) => number;

/** Where pages are, and how many have moved since the start. */
function pagesOfTiers(sum: Sum) {
  const places = (of: (engine: Engine) => number): bigint => BigInt(sum(of));
  const moved = (way: "saved" | "loaded" | "written" | "read"): bigint =>
    places(({ placer: { pool } }) =>
      pool.pageBytes > 0 ? Math.round(pool.counters[way] / pool.pageBytes) : 0,
    );
  return {
    pagesMemory: places(({ placer }) => placer.pool.frames.count),
    pagesMemoryUsed: places(({ placer: { pool } }) => pool.frames.count - pool.frames.free),
    pagesSwap: places(({ placer }) => placer.pool.blocks.count),
    pagesSwapUsed: places(({ placer: { pool } }) => pool.blocks.count - pool.blocks.free),
    pagesSaved: moved("saved"),
    pagesLoaded: moved("loaded"),
    pagesWritten: moved("written"),
    pagesRead: moved("read"),
  };
}

/** What the tiers could not keep, and what is in none of them. */
function pagesLost(sum: Sum, { journal }: Kernel) {
  const pages = (of: (engine: Engine) => number): bigint => BigInt(sum(of));
  return {
    pagesBad: pages(({ placer }) => placer.pool.counters.badPages),
    swapErrors: pages(({ placer }) => placer.pool.counters.swapErrors),
    pagesRefused: pages(({ placer }) => placer.pool.counters.refused),
    pagesMemoryEvicted: pages(({ placer }) => placer.pool.frames.evicted),
    pagesSwapEvicted: pages(({ placer }) => placer.pool.blocks.evicted),
    pagesDropped: pages((engine) => droppedPages(journal.state.contexts.values(), engine)),
  };
}

/** The slots of one engine. Whose context is in a slot is told only to who may see him. */
function slotsOf({ model, sched, placer }: Engine, { journal }: Kernel, asker: Asker) {
  const running = new Map(sched.running.map((burst) => [burst.spec.cid, burst]));
  return placer.table.slots.map((entry) => {
    const { index: slot, cid = 0n } = entry;
    const burst = running.get(cid);
    const phase = !burst ? "idle" : burst.generatedSoFar > 0 ? "decode" : "prefill";
    const owner = journal.state.contexts.get(cid)?.principal;
    const seen = owner !== undefined && sees(asker, owner);
    if (!seen) return { slot, pid: 0n, cid: 0n, tokens: 0, phase, model, of: 0 };
    const of = burst && phase === "prefill" ? burst.spec.genStart : 0;
    return { slot, pid: burst?.spec.pid ?? 0n, cid, tokens: entry.resident, phase, model, of };
  });
}
