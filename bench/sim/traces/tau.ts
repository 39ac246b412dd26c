/**
 * Customer-service dialogues (sierra-research/tau-bench, MIT): full messages and tool
 * calls, no times. All begin with the same policy text. A turn is a message of the
 * assistant, and then it waits for a tool or for its customer.
 */
import { z } from "zod";
import type { Dice } from "../dice.js";
import {
  inOrder,
  LINGER,
  lastEnd,
  SECOND,
  type Turn,
  tokenOf,
  type Workload,
} from "../workload.js";
import { jsonLines } from "./lines.js";

const FILE = "tau_bench_gpt4o_airline_40.jsonl.gz";
/** Letters of an English token. */
const TOKEN_LETTERS = 4;
const ARRIVAL_US = 10 * SECOND;
const TOKEN_US = 20_000;
/** Each dialogue is held so many times, by other customers. */
const ROUNDS = 5;

const Message = z.object({
  role: z.enum(["system", "user", "assistant", "tool"]),
  content: z.string().nullable(),
  tool_calls: z.array(z.unknown()).nullish(),
});
const Dialogue = z.object({ task_id: z.int(), trial: z.int(), traj: z.array(Message) });
type Message = z.infer<typeof Message>;

/** `scale`: tokens of the trace for one token here. */
export function tau(folder: string, scale: number, every: number, dice: Dice): Workload {
  const dialogues = jsonLines(folder, FILE, Dialogue).filter((_, i) => i % every === 0);
  let start = 0;
  const lives = Array.from({ length: ROUNDS }, () => dialogues)
    .flat()
    .map(({ traj }, i) => {
      start += dice.exponential(ARRIVAL_US);
      const turns = inOrder(turnsOf(traj, start, scale, dice));
      return { cid: BigInt(i + 1), turns, closesAt: lastEnd(turns) + LINGER };
    });
  const assumptions =
    `${TOKEN_LETTERS} letters a token, lengths ÷ ${scale}; each dialogue ${ROUNDS} times, ${ARRIVAL_US / SECOND} s apart ` +
    `on average; pauses are made up: tools 2 s (log-normal), customers 15 s and more (Pareto 1.2); contexts close ` +
    `${LINGER / SECOND} s after their last turn`;
  return { name: "tau_bench_gpt4o_airline_40", assumptions, lives };
}

function turnsOf(messages: readonly Message[], start: number, scale: number, dice: Dice): Turn[] {
  const turns: Turn[] = [];
  const tokens = messages.map((message) => tokensOf(message, scale));
  let at = start;
  messages.forEach((message, i) => {
    if (message.role !== "assistant") return;
    const output = (): number[] => tokens[i] ?? [];
    const servedUs = output().length * scale * TOKEN_US;
    const calls = (message.tool_calls?.length ?? 0) > 0;
    const wait = { kind: calls ? "tool" : "message" };
    const prompt = (): number[] => tokens.slice(0, i).flat();
    turns.push({ at, servedUs, prompt, output, wait });
    const pause = calls ? dice.lognormal(2 * SECOND, 1) : dice.pareto(15 * SECOND, 1.2);
    at += servedUs + pause;
  });
  return turns;
}

/** A token for so many letters: equal texts in equal places are equal tokens. */
function tokensOf({ role, content, tool_calls }: Message, scale: number): number[] {
  const text = `${role}\n${content ?? ""}${tool_calls ? JSON.stringify(tool_calls) : ""}`;
  const tokens: number[] = [];
  for (let i = 0; i < text.length; i += TOKEN_LETTERS * scale) {
    const part = text.slice(i, i + TOKEN_LETTERS * scale);
    tokens.push(tokenOf(...Array.from(part, (letter) => letter.codePointAt(0) ?? 0)));
  }
  return tokens;
}
