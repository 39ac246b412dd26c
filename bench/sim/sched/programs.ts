/**
 * Agent programs: sessions that call the model, wait for tools and people, start
 * sub-agents, and end. They are closed loops: a call is made a pause after what the
 * program waited for has ended, however long that took, so a program that is served late
 * asks late.
 *
 * A workload (workload.ts) says when turns were made and how long they took there. What a
 * turn waited for is read from that: the turn before it in its own context, and whatever
 * of its program ended last before it began. The time between is the pause.
 */
import type { Dice } from "../dice.js";
import type { Life, Turn, Workload } from "../workload.js";

export interface ProgramCall {
  /** Its place among the program's calls. */
  readonly index: number;
  /** Which of the program's contexts, and its place among the calls of that. */
  readonly context: number;
  readonly turn: number;
  /** Tokens of the context's history that stay, those that are put behind them, and the answer's. */
  readonly keep: number;
  readonly given: readonly number[];
  readonly output: readonly number[];
  readonly wait: string;
  /** The call of its program that ends before it may begin; -1: none, it begins with the program. */
  readonly after: number;
  /** Microseconds from that end. */
  readonly pauseUs: number;
  /** Its context closes so long after it; undefined: another call of the context follows. */
  readonly closesUs?: number | undefined;
}

export interface Program {
  readonly id: number;
  /** Who it is for: fair shares are theirs. */
  readonly principal: string;
  /** When it comes, microseconds. */
  readonly at: number;
  readonly nice: number;
  /** In the order in which they can be made: what a call waits for stands before it. */
  readonly calls: readonly ProgramCall[];
}

interface Placed extends Pick<ProgramCall, "context" | "keep" | "given" | "output" | "closesUs"> {
  readonly turn: Turn;
  readonly place: number;
}

/** The calls of each program of a workload. Pauses are divided by `scale`, as lengths were. */
export function callsOf(workload: Workload, scale: number): ProgramCall[][] {
  const programs = new Map<number | bigint, Life[]>();
  for (const life of workload.lives) {
    const key = life.program ?? life.cid;
    programs.set(key, [...(programs.get(key) ?? []), life]);
  }
  return [...programs.values()].map((lives) => chained(lives, scale)).filter((c) => c.length > 0);
}

function chained(lives: readonly Life[], scale: number): ProgramCall[] {
  const turns = lives.flatMap((life, context) => placed(life, context, scale));
  turns.sort((a, b) => a.turn.at - b.turn.at);
  const begins = turns[0]?.turn.at ?? 0;
  return turns.map(({ turn, place, ...call }, index) => {
    const after = lastBefore(turns, index);
    const from = after < 0 ? begins : endOf(turns[after]?.turn ?? turn);
    const pauseUs = (turn.at - from) / scale;
    return { ...call, index, turn: place, wait: turn.wait.kind, after, pauseUs };
  });
}

/** The turns of one context, each as what it changes in the history. */
function placed({ turns, closesAt }: Life, context: number, scale: number): Placed[] {
  let history: readonly number[] = [];
  return turns.map((turn, place) => {
    const [prompt, output] = [turn.prompt(), turn.output()];
    let keep = 0;
    while (keep < prompt.length && prompt[keep] === history[keep]) keep++;
    history = [...prompt, ...output];
    const last = place + 1 === turns.length;
    const closesUs = last ? (closesAt - endOf(turn)) / scale : undefined;
    return { turn, place, context, keep, given: prompt.slice(keep), output, closesUs };
  });
}

/** What ended last before the turn began. Its context's turn before it ended then too, or before. */
function lastBefore(turns: readonly Placed[], index: number): number {
  const at = turns[index]?.turn.at ?? 0;
  let [after, latest] = [-1, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < index; i++) {
    const other = turns[i]?.turn;
    if (!other || endOf(other) > at || endOf(other) < latest) continue;
    [after, latest] = [i, endOf(other)];
  }
  return after;
}

const endOf = ({ at, servedUs }: Turn): number => at + servedUs;

/**
 * How programs come. `poisson`: each by itself, so that gaps are exponential. `bursty`: in
 * bursts of BURST on average, short gaps within and long ones between them; the mean gap is
 * the same, its variance about ten times as large (hyperexponential gaps).
 */
export const ARRIVALS = ["poisson", "bursty"] as const;
export type ArrivalKind = (typeof ARRIVALS)[number];

const BURST = 8;
/** A gap within a burst, in mean gaps. */
const SHORT = 0.1;

export interface Arrivals {
  readonly programs: number;
  /** From one to the next on average, microseconds; 0: all at once. */
  readonly everyUs: number;
  readonly principals: number;
  /** "poisson" when missing. */
  readonly arrivals?: ArrivalKind;
}

/** Programs that come by chance, each with the calls of some session. */
export function arriving(
  sessions: readonly (readonly ProgramCall[])[],
  { programs, everyUs, principals, arrivals = "poisson" }: Arrivals,
  dice: Dice,
): Program[] {
  let at = 0;
  const deck: number[] = [];
  return Array.from({ length: programs }, (_, id) => {
    // Each session once before any comes again.
    if (deck.length === 0) deck.push(...sessions.keys());
    const [place = 0] = deck.splice(dice.below(deck.length), 1);
    at += everyUs === 0 ? 0 : gap(arrivals, everyUs, dice);
    const principal = `p${dice.below(principals)}`;
    return { id, principal, at, nice: 0, calls: sessions[place] ?? [] };
  });
}

function gap(arrivals: ArrivalKind, mean: number, dice: Dice): number {
  if (arrivals === "poisson") return dice.exponential(mean);
  const within = 1 - 1 / BURST;
  const long = (1 - within * SHORT) * BURST;
  return dice.exponential(mean * (dice.next() < within ? SHORT : long));
}
