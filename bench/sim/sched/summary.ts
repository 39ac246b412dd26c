/** A sweep's runs put together: for each load, each policy beside `fifo` and the clairvoyant. */
import { mean, quantile, type RunMetrics } from "./metrics.js";
import { CLAIRVOYANT, type Run } from "./sweep.js";

/** What is read of a sweep: one that was just made, or one that was kept as JSON. */
export interface SweepRuns {
  readonly runs: readonly Run[];
}

/** Means over the seeds; p50 and p99 are of the programs of all seeds together, seconds. */
export interface PolicyRow extends Omit<RunMetrics, "responses" | "tokensPerSecond"> {
  readonly policy: string;
  readonly p50: number;
  readonly p99: number;
  /** Mean response over fifo's. */
  readonly ofFifo: number | undefined;
  /** The share of the gain over fifo that the clairvoyant has; undefined: it has none, or was not run. */
  readonly gain: number | undefined;
}

export interface LoadRows {
  readonly load: number;
  readonly rows: readonly PolicyRow[];
}

export function summary({ runs }: SweepRuns): LoadRows[] {
  const loads = [...new Set(runs.map(({ load }) => load))];
  return loads.map((load) => ({ load, rows: rowsOf(runs.filter((run) => run.load === load)) }));
}

/** The same of runs at several loads taken together. */
export function rowsOf(runs: readonly Run[]): PolicyRow[] {
  const of = (policy: string): Run[] => runs.filter((run) => run.policy === policy);
  const response = (policy: string): number | undefined => {
    const all = of(policy).map(({ meanResponse }) => meanResponse);
    return all.length === 0 ? undefined : mean(all);
  };
  const [worst, best] = [response("fifo"), response(CLAIRVOYANT)];
  return [...new Set(runs.map(({ policy }) => policy))].map((policy) => {
    const mine = of(policy);
    const meanOf = (pick: (run: Run) => number): number => mean(mine.map(pick));
    const responses = mine.flatMap((run) => run.responses);
    const meanResponse = meanOf((run) => run.meanResponse);
    const gains = worst !== undefined && best !== undefined && best < worst;
    return {
      policy,
      meanResponse,
      p50: quantile(responses, 0.5),
      p99: quantile(responses, 0.99),
      meanActive: meanOf((run) => run.meanActive),
      busy: meanOf((run) => run.busy),
      alive: meanOf((run) => run.alive),
      meanSlowdown: meanOf((run) => run.meanSlowdown),
      meanWait: meanOf((run) => run.meanWait),
      p99Wait: meanOf((run) => run.p99Wait),
      makespan: meanOf((run) => run.makespan),
      jain: meanOf((run) => run.jain),
      switches: meanOf((run) => run.switches),
      hitRate: meanOf((run) => run.hitRate),
      rebuilt: meanOf((run) => run.rebuilt),
      decisions: meanOf((run) => run.decisions),
      decisionsPerSecond: meanOf((run) => run.decisionsPerSecond),
      ofFifo: worst === undefined ? undefined : meanResponse / worst,
      gain: gains ? (worst - meanResponse) / (worst - best) : undefined,
    };
  });
}
