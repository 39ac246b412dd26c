/**
 * An engine: what serves one model. Its driver, and everything that schedules on
 * that driver's slots. Models share nothing but the journal, so each has a loop of
 * its own, and a driver that hangs or dies disturbs nobody else's. An engine is
 * made when its driver first is ready, and outlives every driver process.
 */
import type { Ready } from "../../proto/gen/contix/driver/v1/llm.js";
import type { Clock } from "../clock.js";
import type { Config } from "../config.js";
import type { LlmDriver } from "../drivers/llm.js";
import type { Journal } from "../journal/journal.js";
import { evictionPolicy } from "../mm/eviction/policies.js";
import { PageCosts } from "../mm/page-costs.js";
import type { PageQuotas } from "../mm/page-quotas.js";
import { Placer } from "../mm/place.js";
import { PagePool } from "../mm/pool.js";
import type { Portions } from "../mm/tier.js";
import { policyInForce } from "../sched/choice.js";
import type { ChunkRate } from "../sched/chunk-rate.js";
import { Loop } from "../sched/loop.js";
import { Scheduler } from "../sched/scheduler.js";

export interface Engine {
  /** The model's name. */
  readonly model: string;
  /** What its driver said when it first was ready. Every later one says the same. */
  readonly ready: Ready;
  readonly driver: LlmDriver;
  readonly sched: Scheduler;
  readonly placer: Placer;
  readonly loop: Loop;
}

export interface EngineParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly chunkRate: ChunkRate;
  readonly pageQuotas: PageQuotas;
}

/** Makes the parts and joins them. The loop does not run yet. */
export function makeEngine(
  model: string,
  ready: Ready,
  driver: LlmDriver,
  { config, clock, journal, chunkRate, pageQuotas }: EngineParts,
): Engine {
  const { slots, chunkTokens, oneWay } = ready;
  const { interTokenMs } = config;
  const policy = policyInForce(journal.state, config);
  const interTokenUs = interTokenMs * 1000;
  const pool = poolOf(ready, config, pageQuotas);
  // Whoever waits for a slot may get one after any step.
  const gatherUs = (): number => (sched.waiting > 0 ? 0 : chunkRate.gatherUs);
  const placement = { slotCount: slots, chunkTokens, oneWay, interTokenUs, gatherUs, pool };
  const placer = new Placer(journal.state, placement);
  const sched: Scheduler = new Scheduler({
    ...{ policy, slots },
    switchCost: (burst) => placer.switchCost(burst),
    missing: (burst) => placer.missing(burst),
  });
  const loop = new Loop(sched, placer, driver, journal, clock);
  return { model, ready, driver, sched, placer, loop };
}

/** The books of the driver's frames and blocks. */
function poolOf(
  { engineDigest, pageBytes, frames, blocks }: Ready,
  { eviction, limits }: Config,
  quotas: PageQuotas,
): PagePool {
  const pool = new PagePool({
    portions: {
      frames: portions(limits.memoryPercentPerPrincipal, limits.memoryPercentPerProcess),
      blocks: portions(limits.swapPercentPerPrincipal, limits.swapPercentPerProcess),
    },
    ...{ engineDigest, pageBytes, frames, blocks, costs: new PageCosts(pageBytes) },
    eviction: (ports) => evictionPolicy(eviction, ports),
    mayEnter: (tier, payer, now) => quotas.makeRoom(tier, payer, pageBytes, now),
  });
  quotas.add(pool);
  return pool;
}

function portions(principal: number, process: number): Portions {
  return { principal: principal / 100, process: process / 100 };
}
