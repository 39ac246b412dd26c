/**
 * A workload from a seed, with the shape of real agents: kinds of agents whose system
 * prompts are equal, sessions of many turns with tools between them and a person now and
 * then, pauses with heavy tails, sub-agents, conversations that grow and are compacted.
 */
import type { Dice } from "./dice.js";
import {
  inOrder,
  LINGER,
  type Life,
  lastEnd,
  SECOND,
  type Turn,
  tokenOf,
  type Workload,
} from "./workload.js";

const AGENT_KINDS = 6;
const ARRIVAL_US = 20 * SECOND;
const TOKEN_US = 20_000;
/** A history that outgrew this is begun anew with a summary. */
const WINDOW = 2048;
const SUMMARY = 200;
/** Of a turn: that a person is waited for, that a sub-agent is started, that it is the last. */
const ASKS = 0.15;
const DELEGATES = 0.08;
const ENDS = 0.03;

/** One agent of `agents`, with its sub-agents. */
interface Maker {
  readonly program: number;
  readonly dice: Dice;
  readonly lives: Life[];
}

export function synthetic(agents: number, dice: Dice): Workload {
  const lives: Life[] = [];
  let start = 0;
  for (let i = 0; i < agents; i++) {
    start += dice.exponential(ARRIVAL_US);
    session({ program: i, dice, lives }, start, dice.below(AGENT_KINDS), ENDS, LINGER);
  }
  const assumptions =
    `${agents} agents of ${AGENT_KINDS} kinds, ${ARRIVAL_US / SECOND} s apart on average; tools 6 s (log-normal), ` +
    `people 30 s and more (Pareto 1.1); a sub-agent each ${Math.round(1 / DELEGATES)} turns`;
  return { name: "synthetic", assumptions, lives };
}

/** @returns when it ends */
function session(maker: Maker, start: number, kind: number, ends: number, linger: number): number {
  const { program, dice, lives } = maker;
  const cid = BigInt(lives.length + 1);
  const place = lives.push({ cid, turns: [], closesAt: 0, program }) - 1;
  const system = systemPrompt(kind);
  const own = { session: place, made: 0 };
  const turns: Turn[] = [];
  let history = [...system, ...fresh(own, 20 + dice.below(100))];
  let at = start;
  for (let last = false; !last; ) {
    const output = fresh(own, 8 + Math.floor(dice.exponential(40)));
    const prompt = history;
    const servedUs = output.length * TOKEN_US;
    last = dice.next() < ends;
    const asks = dice.next() < ASKS;
    turns.push({
      at,
      servedUs,
      prompt: () => [...prompt],
      output: () => [...output],
      wait: { kind: asks ? "message" : "tool" },
    });
    at += servedUs;
    if (!asks && dice.next() < DELEGATES) at = session(maker, at, dice.below(AGENT_KINDS), 0.2, 0);
    else at += asks ? dice.pareto(30 * SECOND, 1.1) : dice.lognormal(6 * SECOND, 1.2);
    history = [...history, ...output, ...fresh(own, 5 + Math.floor(dice.exponential(60)))];
    if (history.length > WINDOW) history = [...system, ...fresh(own, SUMMARY)];
  }
  const ordered = inOrder(turns);
  lives[place] = { cid, turns: ordered, closesAt: lastEnd(ordered) + linger, program };
  return lastEnd(ordered);
}

function systemPrompt(kind: number): number[] {
  return Array.from({ length: 300 + 150 * kind }, (_, i) => tokenOf(-1, kind, i));
}

function fresh(own: { readonly session: number; made: number }, count: number): number[] {
  return Array.from({ length: count }, () => tokenOf(own.session, own.made++));
}
