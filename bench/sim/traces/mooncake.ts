/**
 * Chat requests of a large service (kvcache-ai/Mooncake, Apache-2.0): arrival times and
 * ids of 512-token blocks that are equal wherever the prefix is equal. Requests do not
 * say whose they are, so each is a context that closes when it is answered: what hits
 * there are, come from pages that nobody holds any more.
 */
import { z } from "zod";
import { SECOND, tokenOf, type Workload } from "../workload.js";
import { jsonLines } from "./lines.js";

const FILE = "mooncake_conversation_2000.jsonl.gz";
const BLOCK = 512;
const TOKEN_US = 20_000;

const Request = z.object({
  timestamp: z.number().nonnegative(),
  input_length: z.int().positive(),
  output_length: z.int().nonnegative(),
  hash_ids: z.array(z.int().nonnegative()),
});

/** `scale`: tokens of the trace for one token here. */
export function mooncake(folder: string, scale: number, every: number): Workload {
  const requests = jsonLines(folder, FILE, Request).filter((_, i) => i % every === 0);
  const lives = requests.map(({ timestamp, input_length, output_length, hash_ids }, i) => {
    const at = timestamp * 1000;
    const servedUs = output_length * TOKEN_US;
    const prompt = (): number[] =>
      Array.from({ length: Math.max(1, Math.floor(input_length / scale)) }, (_, at) => {
        const first = at * scale;
        const last = Math.min(hash_ids.length, Math.ceil((first + scale) / BLOCK)) - 1;
        return tokenOf(hash_ids[last] ?? 0, scale < BLOCK ? first % BLOCK : 0);
      });
    const output = (): number[] =>
      Array.from({ length: Math.max(1, Math.round(output_length / scale)) }, (_, k) =>
        tokenOf(-1 - i, k),
      );
    const turn = { at, servedUs, prompt, output, wait: { kind: "message" } };
    return { cid: BigInt(i + 1), turns: [turn], closesAt: at + servedUs };
  });
  const assumptions =
    `lengths ÷ ${scale}${every > 1 ? `, each ${every}th request` : ""}; each request a context of its own, closed when ` +
    `answered at ${SECOND / TOKEN_US} tokens of the trace a second`;
  return { name: "mooncake_conversation_2000", assumptions, lives };
}
