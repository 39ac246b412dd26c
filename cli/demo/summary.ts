/** What the demo has measured, as figures and as text. */
import type { Uname } from "../../syscalls/index.js";
import type { Colours } from "../colour.js";
import { count, duration, rate, table, wrap } from "../format.js";
import type { Act, Player } from "./act.js";

interface Spread {
  readonly mean: number;
  readonly max: number;
}

/** The figures of one act. Times in milliseconds. */
export interface Figures {
  readonly wallMs: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  /** Prompt tokens that the engine computed, as its counters have it. */
  readonly tokensPrefilled: number;
  readonly tokensRecomputed: number;
  readonly tokensPerSecond: number;
  readonly steps: number;
  readonly firstTokenMs: Spread;
  readonly queuedMs: Spread;
  readonly agents: readonly Player[];
}

/** What `contix demo --json` prints. */
export interface Report {
  readonly model: string;
  readonly driver: string;
  readonly engineDigest: string;
  readonly slots: number;
  readonly together: Figures;
  readonly oneByOne: Figures;
  /** How many times faster the agents were done together. */
  readonly speedup: number;
  /** Agents that said the same in both acts, byte for byte. */
  readonly sameAnswers: number;
  readonly failed: readonly string[];
}

export function report(uname: Uname, together: Act, oneByOne: Act): Report {
  const [first, second] = [figuresOf(together), figuresOf(oneByOne)];
  const players = [...together.players, ...oneByOne.players];
  const alone = new Map(oneByOne.players.map(({ name, answer }) => [name, answer]));
  return {
    model: uname.model,
    driver: uname.driver,
    engineDigest: uname.engineDigest,
    slots: together.after.slots,
    together: first,
    oneByOne: second,
    speedup: second.wallMs / first.wallMs,
    sameAnswers: together.players.filter((p) => alone.get(p.name) === p.answer).length,
    failed: players.filter((p) => p.failure !== "").map((p) => `${p.name}: ${p.failure}`),
  };
}

function figuresOf({ players, wallMs, before, after }: Act): Figures {
  const sum = (of: (player: Player) => number): number =>
    players.reduce((total, player) => total + of(player), 0);
  const tokensOut = sum((p) => p.tokensOut);
  return {
    wallMs,
    tokensIn: sum((p) => p.tokensIn),
    tokensOut,
    tokensPrefilled: after.tokensPrefilled - before.tokensPrefilled,
    tokensRecomputed: after.tokensRecomputed - before.tokensRecomputed,
    tokensPerSecond: (tokensOut * 1000) / wallMs,
    steps: after.steps - before.steps,
    firstTokenMs: spread(players.flatMap((p) => p.firstTokenMs ?? [])),
    queuedMs: spread(players.map((p) => p.queuedMs)),
    agents: players,
  };
}

function spread(values: readonly number[]): Spread {
  if (values.length === 0) return { mean: 0, max: 0 };
  return { mean: values.reduce((a, b) => a + b, 0) / values.length, max: Math.max(...values) };
}

/** The end of the demo, for people. @param columns of the terminal. */
export function summaryText(result: Report, columns: number, colours: Colours): string {
  return [
    answers(result.together.agents, columns, colours),
    comparison(result, colours),
    verdict(result, colours),
  ].join("\n\n");
}

function answers(agents: readonly Player[], columns: number, colours: Colours): string {
  return agents
    .map(({ name, answer, failure }) => {
      const lines = wrap(answer || failure, columns - 2, 2).map((line) => `  ${line}`);
      return [colours.bold(name), ...lines].join("\n");
    })
    .join("\n");
}

function comparison({ together, oneByOne }: Report, colours: Colours): string {
  const columns = [
    { title: "" },
    { title: "TIME", right: true },
    { title: "TOKENS IN", right: true },
    { title: "OUT", right: true },
    { title: "TOKENS/S", right: true },
    { title: "FIRST TOKEN", right: true },
    { title: "WAITED", right: true },
  ];
  const row = (title: string, f: Figures): string[] => [
    title,
    time(f.wallMs),
    count(f.tokensIn),
    count(f.tokensOut),
    rate(f.tokensPerSecond),
    time(f.firstTokenMs.mean),
    time(f.queuedMs.mean),
  ];
  const number = together.agents.length;
  const rows = [row(`${number} at once`, together), row("one by one", oneByOne)];
  const note =
    "tokens/s: generated, over the whole time; first token and waiting for a slot: mean of an agent";
  return `${table(columns, rows, colours.dim)}\n${colours.dim(note)}`;
}

function verdict(result: Report, colours: Colours): string {
  const { speedup, sameAnswers, together } = result;
  const agents = together.agents.length;
  const same = `${sameAnswers} of ${agents} answers are the same both times, byte for byte.`;
  return `${colours.bold(`${rate(speedup)} times as fast together.`)} ${same}`;
}

function time(ms: number): string {
  return duration(Math.round(ms * 1000));
}
