/** Which workloads there are, and how each is made. */
import { random } from "../harness/random.js";
import { Dice } from "./dice.js";
import { synthetic } from "./synthetic.js";
import { azure } from "./traces/azure.js";
import { claudeSessions } from "./traces/claude.js";
import { mooncake } from "./traces/mooncake.js";
import { tau } from "./traces/tau.js";
import type { Workload } from "./workload.js";

export interface WorkloadOptions {
  /** Where the public traces lie; undefined: the synthetic workload. */
  readonly traces?: string | undefined;
  /** Tokens of a trace for one token here; undefined: each trace's own. */
  readonly scale?: number | undefined;
  /** Only each n-th session or request. */
  readonly every: number;
  /** Agents of the synthetic workload. */
  readonly agents: number;
  readonly seed: number;
}

type Maker = (folder: string, scale: number, every: number, dice: Dice) => Workload;

/** Their prompts become a few hundred to a few thousand tokens, as a small model's window holds. */
const TRACES: Record<string, { readonly make: Maker; readonly scale: number }> = {
  claude: { make: claudeSessions, scale: 64 },
  tau: { make: tau, scale: 4 },
  mooncake: { make: mooncake, scale: 64 },
  azure: { make: azure, scale: 4 },
};

export const TRACE_NAMES = Object.keys(TRACES);

/** Tokens of each trace for one token here, where nobody says otherwise. */
export const SCALES: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(TRACES).map(([name, { scale }]) => [name, scale]),
);

/** Makes the workload `name`: a trace's, or "synthetic". Throws TraceError on a bad trace. */
export function makeWorkload(name: string, options: WorkloadOptions): Workload {
  const dice = new Dice(random(options.seed));
  const { traces, scale, every, agents } = options;
  const trace = TRACES[name];
  if (!trace || traces === undefined) return synthetic(agents, dice);
  return trace.make(traces, scale ?? trace.scale, every, dice);
}
