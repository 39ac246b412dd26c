/**
 * The context pool: what pages save, and what moving them costs. Three parts: moves (in this
 * process), prefix and sharing (through the daemon); memory is what daemon and driver take beside
 * the weights and the pools.
 */
import { connect, type Os } from "../../syscalls/index.js";
import { startDaemon } from "../harness/daemon.js";
import { factsOf } from "../harness/process-facts.js";
import { type Figure, figure } from "../harness/report.js";
import { weightBytes } from "../harness/step-bytes.js";
import { evaluationText, windows } from "../harness/texts.js";
import { compiledModel } from "./model.js";
import { pageMoves } from "./page-moves.js";
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
    figures.push(await overhead(daemon.pid, model, os));
    text = await os.llm.tokenize(await evaluationText("tom-sawyer"));
    figures.push(...(await prefixHits(daemon, windows(text, rounds + 1, PREFIX, seed))));
  }
  const moving = { model, tokens: PREFIX, rounds, threads };
  figures.push(...(await pageMoves(text.slice(0, PREFIX), moving)));
  say("sharing: many agents, twice a round");
  const shape = { ...SHARING, agents, rounds: Math.min(rounds, SHARING_ROUNDS) };
  figures.push(...(await sharing(text, shape, [...flags, "--slot-tokens", "1024"])));
  return { parameters: { model, rounds, threads, seed, agents }, figures, notes: NOTES };
}

/** Memory of kernel and driver, MiB, without the weights; slots and frames are untouched yet. */
async function overhead(kernelPid: number, model: string, os: Os): Promise<Figure> {
  const { driverPid } = await os.sys.uname();
  const anonymous = async (pid: number): Promise<number> => {
    const facts = await factsOf(pid);
    if (facts === undefined) throw new Error(`process ${pid} is gone`);
    return facts.memoryMiB;
  };
  // The runtime keeps the weights in memory of its own, in the order in which it reads them.
  const weights = (await weightBytes(await compiledModel(model))) / 2 ** 20;
  const all = (await anonymous(kernelPid)) + (await anonymous(driverPid));
  return figure("memory.beside", "MiB", [all - weights]);
}

const NOTES = [
  "prefix.*: the time to the first token of 512 tokens, computed by one agent and then found by another. fp32.*, int8.*: " +
    "moving the KV of 512 tokens, the fastest of 5 repetitions a round: pageIn and pageOut between slot and RAM, swapIn and " +
    "swapOut between slot or RAM and the swap file (page cache), against the bare work on as many bytes (memcpy; read, " +
    "check, copy), and against llama.cpp's own save and load of a sequence (its KV is F16). sharing.*: see " +
    "bench/suites/sharing.ts; gain: share of what perfect sharing saves. memory.beside: resident memory of kernel and " +
    "driver that is neither weights nor slots nor pages, after the start.",
];

const SHARING_ROUNDS = 1;
const SHARING: Omit<SharingOptions, "agents" | "rounds"> = {
  groups: 4,
  slots: 8,
  prefix: 600,
  turns: 5,
  given: 40,
  generated: 24,
};
