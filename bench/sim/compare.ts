/** Policies side by side on one workload, at several sizes of memory. */
import type { EvictionName } from "../../kernel/mm/eviction/policies.js";
import { accessString } from "./accesses.js";
import { optimalHits } from "./belady.js";
import { likelyHits } from "./bound.js";
import { PAGE_BYTES, type Replayed, replay } from "./replay.js";
import type { Steps } from "./steps.js";
import type { Workload } from "./workload.js";

export interface CompareOptions {
  readonly policies: readonly EvictionName[];
  /** Frames to try; undefined: shares of what could be of use at all. */
  readonly frames?: readonly number[] | undefined;
  /** Pages of the swap file. */
  readonly blocks: number;
  /** Also what could be hit without the future (bound.ts). */
  readonly bound?: boolean;
}

export interface Row extends Replayed {
  readonly policy: EvictionName;
  /** Of the pages that prompts asked for. */
  readonly hitRate: number;
  /** Of the optimum's hits. */
  readonly ofOptimum: number;
}

interface Best {
  readonly hits: number;
  readonly hitRate: number;
}

export interface Size {
  readonly frames: number;
  readonly bytes: number;
  readonly optimum: Best;
  /** Of who knows odds, and not the future. */
  readonly likely?: Best;
  readonly rows: readonly Row[];
}

export interface Comparison {
  readonly workload: string;
  readonly assumptions: string;
  readonly contexts: number;
  readonly turns: number;
  readonly lookups: number;
  readonly repeats: number;
  readonly distinct: number;
  readonly peak: number;
  readonly longest: number;
  readonly blocks: number;
  readonly sizes: readonly Size[];
}

/** Of the most pages that are of use at one time to somebody who knows the future. */
const SHARES = [0.25, 0.5, 1, 2];

/** `part` hears what is done now. */
export async function compare(
  workload: Workload,
  options: CompareOptions,
  steps: Steps,
  part: (what: string) => void,
): Promise<Comparison> {
  const begin = (what: string): void => {
    part(`${workload.name}: ${what}`);
    steps.begin();
  };
  begin("accesses");
  const string = await accessString(workload, steps);
  const { lookups, repeats, distinct, peak, longest } = string;
  const { blocks, policies } = options;
  const sizes: Size[] = [];
  for (const frames of options.frames ?? SHARES.map((share) => Math.ceil(peak * share))) {
    begin(`optimum, ${frames} frames`);
    const best = await optimalHits(string, frames + blocks, steps);
    const rows: Row[] = [];
    for (const policy of policies) {
      begin(`${policy}, ${frames} frames`);
      const result = await replay(string, policy, { frames, blocks }, steps);
      const hitRate = result.hits / Math.max(1, lookups);
      rows.push({ policy, ...result, hitRate, ofOptimum: result.hits / Math.max(1, best) });
    }
    const rated = (hits: number): Best => ({ hits, hitRate: hits / Math.max(1, lookups) });
    const likely = options.bound === true && { likely: rated(likelyHits(string, frames + blocks)) };
    sizes.push({ frames, bytes: frames * PAGE_BYTES, optimum: rated(best), ...likely, rows });
  }
  const { name, assumptions, lives } = workload;
  const turns = lives.reduce((sum, life) => sum + life.turns.length, 0);
  const counts = { contexts: lives.length, turns, lookups, repeats, distinct, peak, longest };
  return { workload: name, assumptions, ...counts, blocks, sizes };
}
