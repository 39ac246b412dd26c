/**
 * How fast the simulator is with many agents: each is a process that asks, waits for its
 * turn among thousands, pauses and asks again, and a million decisions are made for all. The
 * whole of it is timed, process table, admission, scheduler, placer, loop and engine, and
 * the decisions alone beside it.
 */
import { makePolicy, POLICY_NAMES } from "../../../kernel/sched/policies.js";
import { random } from "../../harness/random.js";
import { markdownTable } from "../../harness/table.js";
import { Dice } from "../dice.js";
import { DEFAULT_COST } from "./cost.js";
import { Machine } from "./machine.js";
import { play } from "./play.js";
import type { Program, ProgramCall } from "./programs.js";

const DECISIONS = 1_000_000;
const SLOTS = 8;
const GIVEN = 16;
const QUANTUM = 16;

export interface Scale {
  readonly policy: string;
  readonly agents: number;
  readonly calls: number;
  readonly decisions: number;
  /** Of the host. */
  readonly seconds: number;
  /** Of a decision by itself. */
  readonly decisionUs: number;
}

/** Agents whose calls make at least so many decisions necessary. */
export async function scale(policy: string, agents: number, decisions: number): Promise<Scale> {
  const cost = { ...DEFAULT_COST, turnUs: 0 };
  const machine = new Machine({
    policy: makePolicy(policy, { quantum: QUANTUM }),
    // All of them may wait at once: what is timed is a queue that is that long.
    ...{ slots: SLOTS, frames: 0, blocks: 0, cost, queueLimit: 2 * agents },
  });
  const programs = crowd(agents, decisions);
  const start = performance.now();
  const { calls } = await play(machine, programs, cost.turnUs);
  const seconds = (performance.now() - start) / 1000;
  const made = machine.sched.decisions;
  const decisionUs = machine.decisionNs / 1000 / made;
  return { policy, agents, calls: calls.length, decisions: made, seconds, decisionUs };
}

export async function scaleTable(agents: number, decisions = DECISIONS): Promise<string> {
  const rows: string[][] = [];
  for (const policy of POLICY_NAMES) {
    const { seconds, decisionUs, ...made } = await scale(policy, agents, decisions);
    rows.push([
      policy,
      `${made.calls}`,
      `${made.decisions}`,
      seconds.toFixed(1),
      decisionUs.toFixed(1),
    ]);
  }
  const heads = ["policy", "calls", "decisions", "s in all", "µs a decision"];
  return [`${agents} agents, ${SLOTS} slots.`, "", markdownTable(heads, rows)].join("\n");
}

/**
 * With a full house each step is a decision: a call has its share of those in which all slots
 * make a token, and those in which its prompt enters and its neighbours wait.
 */
function crowd(agents: number, decisions: number): Program[] {
  const dice = new Dice(random(1));
  const calls = Math.max(1, Math.ceil(decisions / agents / DECISIONS_A_CALL));
  return Array.from({ length: agents }, (_, id) => ({
    ...{ id, principal: `p${id % 10}`, at: dice.below(1_000_000), nice: dice.below(40) - 20 },
    calls: Array.from({ length: calls }, (_, index) => call(index, index + 1 === calls, dice)),
  }));
}

/** Of 1 to 2 × this - 1. */
const MEAN_OUTPUT = 40;
/** Seen under the policy that makes the fewest, and a little less. */
const DECISIONS_A_CALL = 7.5;

/** Each on an empty context: what is timed is who runs, not what contexts hold. */
function call(index: number, last: boolean, dice: Dice): ProgramCall {
  const output = new Array<number>(1 + dice.below(2 * MEAN_OUTPUT - 1)).fill(7);
  const pauseUs = last ? 0 : dice.exponential(1_000_000);
  const place = { index, context: 0, turn: index, after: index - 1, pauseUs };
  return { ...place, closesUs: last ? 0 : undefined, keep: 0, given: PROMPT, output, wait: "tool" };
}

const PROMPT = Array.from({ length: GIVEN }, (_, i) => i);
