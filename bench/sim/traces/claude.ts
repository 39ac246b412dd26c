/**
 * Sessions of coding agents (callanjfox/kv-cache-tester, Apache-2.0): each request's
 * prompt as ids of 64-token blocks, local to the session, with times, what ended the
 * answer, and sub-agents.
 *
 * A session has one context for each line of thought: a request goes on from the context
 * of which it repeats at least half; otherwise it begins one. Sub-agents have their own.
 */
import { z } from "zod";
import type { Dice } from "../dice.js";
import {
  inOrder,
  LINGER,
  type Life,
  lastEnd,
  SECOND,
  type Turn,
  tokenOf,
  type Workload,
} from "../workload.js";
import { jsonLines } from "./lines.js";

const FILE = "claude_code_sessions.jsonl.gz";
const BLOCK = 64;
/** Contexts that a session keeps open at once. */
const OPEN = 4;
/** From session to session, on average. */
const ARRIVAL_US = 30 * SECOND;
const GENERATED = -1;

const Runs = z.array(z.tuple([z.int(), z.int().positive()]));
const Seconds = z.number().nonnegative();
const Request = z.object({
  t: Seconds,
  type: z.enum(["n", "s"]),
  out: z.int().nonnegative(),
  hr: Runs,
  stop: z.string().nullish(),
  input_types: z.array(z.string()).nullish(),
  api_time: Seconds.nullish(),
});
const SubAgent = z.object({ t: Seconds, type: z.literal("subagent"), requests: z.array(Request) });
const Session = z.object({
  id: z.string(),
  block_size: z.literal(BLOCK),
  requests: z.array(z.discriminatedUnion("type", [Request, SubAgent])),
});

type Request = z.infer<typeof Request>;
type Runs = z.infer<typeof Runs>;

/** A context while its session is read. */
interface Thread {
  runs: Runs;
  readonly requests: Request[];
}

/** `scale`: tokens of the trace for one token here. `every`: only each n-th session. */
export function claudeSessions(folder: string, scale: number, every: number, dice: Dice): Workload {
  const sessions = jsonLines(folder, FILE, Session).filter((_, i) => i % every === 0);
  const lives: Life[] = [];
  let start = 0;
  sessions.forEach(({ requests }, session) => {
    start += dice.exponential(ARRIVAL_US);
    const main = requests.filter((request) => request.type !== "subagent");
    const begin = (threads: Thread[], at: number, linger: number): void => {
      for (const thread of threads) {
        const turns = inOrder(turnsOf(thread, session, at, scale));
        const cid = BigInt(lives.length + 1);
        lives.push({ cid, turns, closesAt: lastEnd(turns) + linger, program: session });
      }
    };
    begin(threadsOf(main), start, LINGER);
    for (const request of requests) {
      if (request.type !== "subagent") continue;
      // Its parent has its answer: a sub-agent ends with its last turn.
      begin(threadsOf(request.requests), start + request.t * SECOND, 0);
    }
  });
  const assumptions =
    `lengths ÷ ${scale}; sessions begin ${ARRIVAL_US / SECOND} s apart on average` +
    `${every > 1 ? `, each ${every}th of them` : ""}; a request continues the context of which it ` +
    `repeats at least half; contexts close ${LINGER / SECOND} s after their last turn, sub-agents' at once`;
  return { name: "claude_code_sessions", assumptions, lives };
}

function threadsOf(requests: readonly Request[]): Thread[] {
  const all: Thread[] = [];
  let open: Thread[] = [];
  for (const request of requests) {
    if (request.hr.length === 0) continue;
    const best = open
      .map((thread) => ({ thread, common: commonBlocks(thread.runs, request.hr) }))
      .filter(({ thread, common }) => common * 2 >= blocksIn(thread.runs))
      .sort((a, b) => b.common - a.common)[0];
    const thread = best?.thread ?? { runs: request.hr, requests: [] };
    if (!best) all.push(thread);
    thread.runs = request.hr;
    thread.requests.push(request);
    open = [thread, ...open.filter((other) => other !== thread)].slice(0, OPEN);
  }
  return all;
}

function turnsOf({ requests }: Thread, session: number, start: number, scale: number): Turn[] {
  return requests.map((request, i) => {
    const next = requests[i + 1];
    return {
      at: start + request.t * SECOND,
      servedUs: (request.api_time ?? 1) * SECOND,
      prompt: () => tokensOf(request.hr, session, scale),
      output: () => {
        const count = Math.max(1, Math.round(request.out / scale));
        const from = tokensIn(request.hr, scale);
        // What was generated stands in the next prompt, if that goes on from here.
        const goesOn = next && repeats(request.hr, next.hr);
        const after = goesOn ? tokensOf(next.hr, session, scale, from, from + count) : [];
        return Array.from(
          { length: count },
          (_, k) => after[k] ?? tokenOf(session, GENERATED, request.t * 1000, k),
        );
      },
      wait: { kind: waitsFor(request, next) },
    };
  });
}

/** A process knows what it waits for; where the trace does not say, the next request's input does. */
function waitsFor({ stop }: Request, next: Request | undefined): string {
  if (stop === "tool_use") return "tool";
  if (stop === "end_turn") return "message";
  return next?.input_types?.includes("tool_result") ? "tool" : "message";
}

function repeats(before: Runs, after: Runs): boolean {
  return commonBlocks(before, after) >= blocksIn(before) - 1;
}

function blocksIn(runs: Runs): number {
  return runs.reduce((sum, [, length]) => sum + length, 0);
}

/** Blocks that both begin with. */
function commonBlocks(a: Runs, b: Runs): number {
  let common = 0;
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]];
    if (!x || !y || x[0] !== y[0]) break;
    common += Math.min(x[1], y[1]);
    if (x[1] !== y[1]) break;
  }
  return common;
}

function tokensIn(runs: Runs, scale: number): number {
  return Math.max(1, Math.floor((blocksIn(runs) * BLOCK) / scale));
}

/**
 * Tokens [from, to) of what there are. A block becomes several, or several blocks one:
 * named by the last of them, as ids name prefixes.
 */
function tokensOf(
  runs: Runs,
  session: number,
  scale: number,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): number[] {
  const blocks: number[] = [];
  for (const [start, length] of runs) for (let i = 0; i < length; i++) blocks.push(start + i);
  const tokens: number[] = [];
  const end = Math.min(to, tokensIn(runs, scale));
  for (let i = from; i < end; i++) {
    const last = Math.min(blocks.length, Math.ceil(((i + 1) * scale) / BLOCK)) - 1;
    const part = scale < BLOCK ? (i * scale) % BLOCK : 0;
    tokens.push(tokenOf(session, blocks[last] ?? 0, part));
  }
  return tokens;
}
