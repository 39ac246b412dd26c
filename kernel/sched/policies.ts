/** The scheduling policies by name. */
import { ContixError } from "../../proto/errno.js";
import { fair } from "./policies/fair.js";
import { fifo } from "./policies/fifo.js";
import { mlfq } from "./policies/mlfq.js";
import { priority } from "./policies/priority.js";
import { program } from "./policies/program.js";
import { roundRobin } from "./policies/rr.js";
import type { Policy } from "./policy.js";

/** What policies are made with; each takes what it needs. */
export interface PolicyOptions {
  /** Tokens that a burst may generate before another may take its slot. */
  readonly quantum: number;
  /** The share of a principal under `fair`; 1 if missing. */
  readonly weightOf?: (principal: string) => number;
}

/** Waiting this long is worth one nice value. */
const AGING_US = 1_000_000;
/** After so long every process begins anew on the highest level of `mlfq`. */
const BOOST_US = 10_000_000;

const POLICIES = {
  fifo: ({ quantum }: PolicyOptions): Policy => fifo(quantum),
  rr: ({ quantum }: PolicyOptions): Policy => roundRobin(quantum),
  priority: ({ quantum }: PolicyOptions): Policy => priority(quantum, AGING_US),
  mlfq: ({ quantum }: PolicyOptions): Policy => mlfq(quantum, BOOST_US),
  program: ({ quantum }: PolicyOptions): Policy => program(quantum),
  fair: ({ quantum, weightOf }: PolicyOptions): Policy => fair(quantum, weightOf),
};

export type PolicyName = keyof typeof POLICIES;

export const POLICY_NAMES = Object.keys(POLICIES) as [PolicyName, ...PolicyName[]];

/** A new instance of the policy `name`, for one scheduler. EINVAL when there is none. */
export function makePolicy(name: string, options: PolicyOptions): Policy {
  const known = POLICY_NAMES.find((policy) => policy === name);
  if (known) return POLICIES[known](options);
  const message = `there is no policy ${JSON.stringify(name)}; there are ${POLICY_NAMES.join(", ")}`;
  throw new ContixError("EINVAL", message, { argument: "policy" });
}
