/**
 * The context pool: what pages save, and what moving them costs. Three parts: moves (in this
 * process), prefix and sharing (through the daemon); memory is what daemon and driver take beside
 * the weights and the pools when all of these are in use.
 */
import { connect } from "../../syscalls/index.js";
import { startDaemon } from "../harness/daemon.js";
import type { Figure } from "../harness/report.js";
import { evaluationText, windows } from "../harness/texts.js";
import { pageMoves } from "./page-moves.js";
import { pagesMemory } from "./pages-memory.js";
import { prefixHits } from "./prefix.js";
import { type SharingOptions, sharing } from "./sharing.js";
import { type SuiteResult, say } from "./suite.js";

export interface PagesOptions {
  readonly model: string;
  readonly rounds: number;
  readonly threads: number;
  readonly seed: number;
  /** Agents of the sharing part, in four groups. */
  readonly agents: number;
}

/** Tokens of a prefix that moves and is found: whole pages. */
const PREFIX = 512;

export async function pages(options: PagesOptions): Promise<SuiteResult> {
  const { model, rounds, threads, seed, agents } = options;
  const flags = ["--model", model, "--threads", String(threads)];
  const figures: Figure[] = [];
  let text: readonly number[] = [];
  {
    await using daemon = await startDaemon(flags);
    await using os = await connect({ home: daemon.home, name: "bench" });
    text = await os.llm.tokenize(await evaluationText("tom-sawyer"));
    figures.push(...(await prefixHits(daemon, windows(text, rounds + 1, PREFIX, seed))));
  }
  const moving = { model, tokens: PREFIX, rounds, threads };
  figures.push(...(await pageMoves(text.slice(0, PREFIX), moving)));
  figures.push(...(await pagesMemory(model, text, flags)));
  say("sharing: many agents, twice a round");
  const shape = { ...SHARING, agents, rounds: Math.min(rounds, SHARING_ROUNDS) };
  figures.push(...(await sharing(text, shape, [...flags, "--slot-tokens", "1024"])));
  return { parameters: { model, rounds, threads, seed, agents }, figures, notes: NOTES };
}

const NOTES = [
  "prefix.*: the time to the first token of 512 tokens, computed by one agent and then found by another. fp32.*, int8.*: " +
    "moving the KV of 512 tokens, the fastest of 5 repetitions a round: pageIn and pageOut between slot and RAM, swapIn and " +
    "swapOut between slot or RAM and the swap file (page cache), against the bare work on as many bytes (memcpy; read, " +
    "check, copy), and against llama.cpp's own save and load of a sequence (its KV is F16). sharing.*: see " +
    "bench/suites/sharing.ts; gain: share of what perfect sharing saves. memory.*: resident memory of kernel and driver that " +
    "is not weights; start: after the start; beside: after 128 contexts of 288 tokens have filled slots, RAM pages and " +
    "part of a swap file, and come back from it, without what slots and pages took (used).",
];

/** Each takes three minutes and a half. */
const SHARING_ROUNDS = 2;
const SHARING: Omit<SharingOptions, "agents" | "rounds"> = {
  groups: 4,
  slots: 8,
  prefix: 600,
  turns: 5,
  given: 40,
  generated: 24,
};
