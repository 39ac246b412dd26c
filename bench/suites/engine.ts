/**
 * Our driver against node-llama-cpp on the same GGUF, in turns: decode at several numbers of
 * rows and context lengths, and prefill of one prompt.
 *
 * Both sides hold the same prompt tokens before the clock starts and decode the same number of
 * tokens, greedily, without ending at an end token. Both are processes of their own that stay
 * loaded; while one works the other waits for a message.
 */
import { availableParallelism } from "node:os";
import { z } from "zod";
import { alternate } from "../harness/alternate.js";
import { type BareDriver, startDriver, type TimedOutcome } from "../harness/driver.js";
import { installPeers, Peer } from "../harness/peer.js";
import { decodePlans } from "../harness/plans.js";
import { type Figure, figure } from "../harness/report.js";
import { inCheckout } from "../harness/root.js";
import { pairedRatio, summarize } from "../harness/stats.js";
import { evaluationText, windows } from "../harness/texts.js";
import { compiledModel, ggufOf } from "./model.js";
import { type SuiteResult, say } from "./suite.js";

export interface EngineOptions {
  readonly model: string;
  /** Another GGUF for the peer; default: the one that the model was compiled from. */
  readonly gguf: string | undefined;
  readonly rows: readonly number[];
  readonly contexts: readonly number[];
  /** Tokens of the prompt whose prefill is timed. */
  readonly prefill: number;
  /** Timed decode steps. */
  readonly steps: number;
  readonly rounds: number;
  /** 0: all cores. */
  readonly threads: number;
  readonly seed: number;
}

/** One run of one side. */
interface Run {
  readonly tokensPerSecond: number;
  /** The first token of each row. */
  readonly first: readonly number[];
}

const Decoded = z.object({ seconds: z.number(), tokens: z.array(z.array(z.number())) });
const Prefilled = z.object({ seconds: z.number(), tokens: z.number() });

/** How the peer's sequences are pulled; see llama.mjs. */
const PULLS = ["lockstep", "free"] as const;

export async function engine(options: EngineOptions): Promise<SuiteResult> {
  const version = await installPeers();
  await using driver = await ourDriver(options);
  const gguf = options.gguf ?? (await ggufOf(options.model));
  await using peer = new Peer(inCheckout("bench", "peers", "llama.mjs"));
  await peer.call("load", { gguf, threads: options.threads || cores() }, z.unknown());
  const text = await driver.client.encode(await evaluationText("tom-sawyer"));
  const figures: Figure[] = [];
  for (const context of options.contexts) {
    for (const rows of options.rows) {
      figures.push(...(await decodeFigures(driver, peer, text, rows, context, options)));
    }
  }
  if (options.prefill > 0) figures.push(...(await prefillFigures(driver, peer, text, options)));
  return { parameters: parameters(options, version, driver), figures, notes: NOTES };
}

const NOTES = [
  "tok/s of decoding alone: prompts are in before the clock starts. ratio: contix over the faster of the two ways to " +
    "pull the peer's `sequence.evaluate` (lockstep: every sequence is asked for its next token at the same moment, so " +
    "that they batch; free: each sequence is a loop of its own), round by round. ratio.free: over the latter, as an " +
    "application would write it. sameFirst: the share of rows whose first token is the same on both sides.",
];

function parameters(
  { model, steps, rounds, threads, seed }: EngineOptions,
  version: string,
  { ready }: BareDriver,
): SuiteResult["parameters"] {
  const digest = ready.engineDigest.slice(0, 12);
  return { model, digest, peer: `node-llama-cpp ${version}`, steps, rounds, threads, seed };
}

async function ourDriver(options: EngineOptions): Promise<BareDriver> {
  const longest = Math.max(options.prefill, ...options.contexts) + options.steps + 2;
  return startDriver(inCheckout("dist", "servers", "llm", "main.js"), {
    model: await compiledModel(options.model),
    slots: Math.max(...options.rows),
    slotTokens: longest,
    threads: options.threads,
    options: "",
  });
}

async function decodeFigures(
  driver: BareDriver,
  peer: Peer,
  text: readonly number[],
  rows: number,
  context: number,
  options: EngineOptions,
): Promise<Figure[]> {
  const name = `rows${rows}.ctx${context}`;
  const prompts = windows(text, rows, context, options.seed);
  await peer.call("open", { rows, tokens: context + options.steps + 2 }, z.unknown());
  const runs = await alternate<Run>(
    options.rounds,
    [
      { name: "contix", run: () => decodeOurs(driver, prompts, options.steps) },
      ...PULLS.map((pull) => ({
        name: `llama.${pull}`,
        run: () => decodePeer(peer, prompts, options.steps, pull),
      })),
    ],
    (side, round, { tokensPerSecond }) =>
      say(`${name} round ${round + 1}: ${side} ${tokensPerSecond.toFixed(1)} tok/s`),
  );
  const speeds = (side: string): number[] =>
    (runs.get(side) ?? []).map(({ tokensPerSecond }) => tokensPerSecond);
  const best = PULLS.map((pull) => speeds(`llama.${pull}`)).reduce((a, b) =>
    summarize(b).median > summarize(a).median ? b : a,
  );
  return [
    figure(`${name}.contix`, "tok/s", speeds("contix")),
    ...PULLS.map((pull) => figure(`${name}.llama.${pull}`, "tok/s", speeds(`llama.${pull}`))),
    figure(`${name}.ratio`, "×", pairedRatio(speeds("contix"), best)),
    figure(`${name}.ratio.free`, "×", pairedRatio(speeds("contix"), speeds("llama.free"))),
    figure(`${name}.sameFirst`, "of rows", [sameFirst(runs)]),
  ];
}

/** The share of rows whose first token is the same on both sides: that they do the same work. */
function sameFirst(runs: ReadonlyMap<string, readonly Run[]>): number {
  const ours = runs.get("contix")?.[0]?.first ?? [];
  const theirs = runs.get("llama.lockstep")?.[0]?.first ?? [];
  return ours.filter((token, i) => token === theirs[i]).length / ours.length;
}

let nextBurst = 1n;

async function decodeOurs(driver: BareDriver, prompts: number[][], steps: number): Promise<Run> {
  const { chunkTokens: chunk } = driver.ready;
  const firstBurst = nextBurst;
  nextBurst += BigInt(prompts.length);
  const plans = decodePlans({ prompts, tokens: steps + 1, chunk, firstBurst });
  await driver.client.run(plans.enter);
  const outcomes = await driver.client.run(plans.decode);
  const sampled = outcomes.map((timed) => tokensOf(timed));
  const count = sampled.slice(1).reduce((sum, tokens) => sum + tokens.length, 0);
  if (count !== prompts.length * steps) {
    throw new Error(`our driver decoded ${count} tokens, not ${prompts.length * steps}`);
  }
  const start = outcomes[0]?.atMs ?? Number.NaN;
  const seconds = ((outcomes.at(-1)?.atMs ?? Number.NaN) - start) / 1000;
  return { tokensPerSecond: count / seconds, first: sampled[0] ?? [] };
}

function tokensOf({ outcome }: TimedOutcome): number[] {
  const rows = [...outcome.rows].sort((a, b) => a.slot - b.slot);
  return rows.flatMap(({ sampled }) => sampled);
}

async function decodePeer(
  peer: Peer,
  prompts: number[][],
  steps: number,
  mode: (typeof PULLS)[number],
): Promise<Run> {
  const { seconds, tokens } = await peer.call("decode", { prompts, steps, mode }, Decoded);
  return {
    tokensPerSecond: (prompts.length * steps) / seconds,
    first: tokens.map((row) => row[0] ?? -1),
  };
}

async function prefillFigures(
  driver: BareDriver,
  peer: Peer,
  text: readonly number[],
  { prefill, rounds, seed }: EngineOptions,
): Promise<Figure[]> {
  const prompts = windows(text, 1, prefill, seed);
  const [prompt = []] = prompts;
  await peer.call("open", { rows: 1, tokens: prefill + 2 }, z.unknown());
  const runs = await alternate<number>(rounds, [
    { name: "contix", run: async () => prefill / (await prefillOurs(driver, prompts)) },
    {
      name: "llama",
      run: async () => prefill / (await peer.call("prefill", { prompt }, Prefilled)).seconds,
    },
  ]);
  const [ours = [], theirs = []] = [runs.get("contix"), runs.get("llama")];
  return [
    figure(`prefill${prefill}.contix`, "tok/s", ours),
    figure(`prefill${prefill}.llama`, "tok/s", theirs),
    figure(`prefill${prefill}.ratio`, "×", pairedRatio(ours, theirs)),
  ];
}

/** Seconds, the way to the driver included. */
async function prefillOurs(driver: BareDriver, prompts: number[][]): Promise<number> {
  const { chunkTokens: chunk } = driver.ready;
  // One token more than is timed: `enter` leaves the last one out.
  const longer = prompts.map((prompt) => [...prompt, ...prompt.slice(0, 1)]);
  const { enter } = decodePlans({ prompts: longer, tokens: 1, chunk, firstBurst: nextBurst++ });
  const start = performance.now();
  await driver.client.run(enter);
  return (performance.now() - start) / 1000;
}

function cores(): number {
  return availableParallelism();
}
