/** The scheduling syscalls: who holds the slots by which policy, and another policy. */
import { ContixError } from "../../proto/errno.js";
import type { RunQueueInfo } from "../../proto/gen/contix/v1/sched.js";
import { argumentsOf, inRange, notEmpty } from "../args.js";
import type { Call } from "../call.js";
import { askerOf } from "../cap/calls.js";
import { sees } from "../cap/check.js";
import type { ServedModel } from "../engines/served-model.js";
import { CLASSES } from "../journal/fold-procs.js";
import type { Kernel } from "../kernel.js";
import { inForce, policyInForce } from "./choice.js";
import { makePolicy, POLICY_NAMES } from "./policies.js";

const QUANTUM_MAX = 65_536;
const WEIGHT_MAX = 1000;
/** Weights that one call sets, and that there may be. */
const WEIGHTS = 1024;

export function sched(kernel: Kernel, call: Call): void {
  const { journal, config, engines, clock } = kernel;
  const { state } = journal;
  const asker = askerOf(kernel, call);
  const weights = [...state.sched.weights]
    .filter(([principal]) => sees(asker, principal))
    .map(([principal, weight]) => ({ principal, weight }));
  const now = clock.now();
  const queues = engines.all.flatMap((model) => queueOf(model, now));
  const value = { ...inForce(state, config), policies: [...POLICY_NAMES], weights, queues };
  call.done({ $case: "sched", value });
}

export function schedSet({ journal, config, engines, clock }: Kernel, call: Call): void {
  const args = argumentsOf(call, "schedSet");
  const before = inForce(journal.state, config);
  const policy = args.policy || before.policy;
  const quantum = args.quantum || before.quantum;
  inRange("quantum", quantum, 1, QUANTUM_MAX);
  makePolicy(policy, { quantum });
  const weights = args.weights.map(({ principal, weight }) => ({
    principal: notEmpty("weights.principal", principal),
    weight: inRange("weights.weight", weight || 1, 1, WEIGHT_MAX),
  }));
  const names = [...journal.state.sched.weights.keys(), ...weights.map((each) => each.principal)];
  if (new Set(names).size > WEIGHTS) {
    throw new ContixError("E2BIG", `more than ${WEIGHTS} weights`, { argument: "weights" });
  }
  journal.append({ type: "sched.set", policy, quantum, weights });
  for (const { sched } of engines.running) {
    // A new policy knows nobody; the same one forgets nobody for another quantum.
    if (policy !== before.policy) {
      sched.setPolicy(policyInForce(journal.state, config), clock.now());
    } else if (quantum !== before.quantum) sched.setQuantum(quantum);
  }
  call.done({ $case: "schedSet", value: {} });
}

/** Of a model that has run. */
function queueOf({ name, engine, admission }: ServedModel, now: number): RunQueueInfo[] {
  if (!engine) return [];
  const { sched, ready } = engine;
  const classes = CLASSES.map((each) => ({
    class: each,
    running: sched.running.filter(({ spec }) => spec.class === each).length,
    waiting: sched.waitingOf(each),
  }));
  const { admitted, limit, refused } = admission;
  return [
    {
      ...{ model: name, slots: ready.slots, classes, admitted, limit },
      decisions: BigInt(sched.decisions),
      contextSwitches: BigInt(sched.contextSwitches),
      refused: BigInt(refused),
      retryUs: BigInt(admission.retryAfterUs(now)),
    },
  ];
}
