/** The eviction policies by name. */
import { Agent } from "./agent.js";
import { Cost } from "./cost.js";
import { Lru } from "./lru.js";
import type { EvictionPolicy, EvictionPorts } from "./policy.js";

const POLICIES = {
  lru: (ports: EvictionPorts): EvictionPolicy => new Lru(ports),
  cost: (ports: EvictionPorts): EvictionPolicy => new Cost(ports),
  agent: (ports: EvictionPorts): EvictionPolicy => new Agent(ports),
};

export type EvictionName = keyof typeof POLICIES;

export const EVICTION_NAMES = Object.keys(POLICIES) as readonly EvictionName[];

/** A new instance of the policy `name`, for one tier. */
export function evictionPolicy(name: EvictionName, ports: EvictionPorts): EvictionPolicy {
  return POLICIES[name](ports);
}
