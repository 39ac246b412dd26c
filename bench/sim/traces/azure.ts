/**
 * Chat requests (Azure/AzurePublicDataset, CC BY 4.0): arrival time, context tokens and
 * generated tokens, and nothing that says which belong together. So conversations are an
 * assumption: a request goes on with the conversation that its context leaves the least
 * of over, if that makes at least half of it and was answered 5 to 600 seconds before;
 * otherwise it begins one.
 */
import { z } from "zod";
import {
  LINGER,
  type Life,
  lastEnd,
  SECOND,
  type Turn,
  tokenOf,
  type Workload,
} from "../workload.js";
import { checked, TraceError, traceLines } from "./lines.js";

const FILE = "azure_llm_2023_conv.csv.gz";
const HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens";
const TOKEN_US = 20_000;
const SHORTEST_PAUSE = 5 * SECOND;

const Count = z
  .string()
  .regex(/^\d{1,7}$/, "expected a number of tokens")
  .transform(Number);
const Row = z.tuple([
  z.string().regex(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?$/, "expected a time"),
  Count,
  Count,
]);

interface Conversation {
  readonly id: number;
  length: number;
  free: number;
  readonly turns: Turn[];
}

/** `scale`: tokens of the trace for one token here. */
export function azure(folder: string, scale: number, every: number): Workload {
  const all: Conversation[] = [];
  let open: Conversation[] = [];
  for (const { at, context, generated } of rows(folder, every)) {
    const prompt = Math.max(1, Math.floor(context / scale));
    const output = Math.max(1, Math.round(generated / scale));
    open = open.filter(({ free }) => free + LINGER >= at);
    const fits = open.filter(
      ({ length, free }) => free + SHORTEST_PAUSE <= at && length <= prompt && 2 * length >= prompt,
    );
    fits.sort((a, b) => b.length - a.length || a.id - b.id);
    const conversation = fits[0] ?? { id: all.length, length: 0, free: 0, turns: [] };
    if (!fits[0]) {
      all.push(conversation);
      open.push(conversation);
    }
    const { id } = conversation;
    const servedUs = generated * TOKEN_US;
    conversation.turns.push({
      at,
      servedUs,
      prompt: () => stretch(id, 0, prompt),
      output: () => stretch(id, prompt, output),
      wait: { kind: "message" },
    });
    conversation.length = prompt + output;
    conversation.free = at + servedUs;
  }
  const lives: Life[] = all.map(({ id, turns }) => ({
    cid: BigInt(id + 1),
    turns,
    closesAt: lastEnd(turns) + LINGER,
  }));
  const assumptions =
    `lengths ÷ ${scale}${every > 1 ? `, each ${every}th request` : ""}; requests joined to conversations by their ` +
    `lengths (the trace does not join them); contexts close ${LINGER / SECOND} s after their last turn`;
  return { name: "azure_llm_2023_conv", assumptions, lives };
}

function stretch(conversation: number, from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => tokenOf(conversation, from + i));
}

function* rows(folder: string, every: number) {
  const [head, ...lines] = traceLines(folder, FILE);
  if (head?.text !== HEAD) throw new TraceError(FILE, 1, `expected ${HEAD}`);
  let first: number | undefined;
  for (const { number, text } of lines) {
    const [time, context, generated] = checked(Row, text.split(","), FILE, number);
    const at = Date.parse(`${time.replace(" ", "T").slice(0, 23)}Z`) * 1000;
    if (Number.isNaN(at)) throw new TraceError(FILE, number, "there is no such time");
    first ??= at;
    if (number % every === 0) yield { at: at - first, context, generated };
  }
}
