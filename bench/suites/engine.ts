/**
 * Our driver against its peers, in turns: decode at several numbers of rows and lengths of
 * context, prefill of one prompt, and one row's step against the memory's bandwidth.
 *
 * All sides hold the same prompt tokens before the clock starts and decode the same number of
 * tokens, greedily, without ending at an end token. Each is a process of its own that stays
 * loaded; while one works the others wait for a message.
 */
import { availableParallelism } from "node:os";
import { readCompiled } from "../../servers/llm/models/compiled.js";
import { exportForHub, type HubType } from "../harness/hub-export.js";
import { installPeers, type PeerVersions } from "../harness/peer.js";
import type { Figure } from "../harness/report.js";
import { FORMATS, requantized } from "../harness/requantize.js";
import { evaluationText, windows } from "../harness/texts.js";
import { decodeFigures } from "./engine-decode.js";
import { memoryFigures } from "./engine-memory.js";
import { prefillFigures } from "./engine-prefill.js";
import { HubEngine, LlamaEngine, OurEngine } from "./engine-sides.js";
import { compiledModel, exactly, ggufOf } from "./model.js";
import { type SuiteResult, say } from "./suite.js";

export interface EngineOptions {
  readonly model: string;
  /** Another GGUF for llama.cpp; default: the one that the model was compiled from. */
  readonly gguf: string | undefined;
  readonly rows: readonly number[];
  readonly contexts: readonly number[];
  /** Tokens of the prompt whose prefill is timed; 0: none. */
  readonly prefill: number;
  /** Timed decode steps. */
  readonly steps: number;
  readonly rounds: number;
  /** 0: all cores. */
  readonly threads: number;
  readonly seed: number;
  /** Which peers; none of them is needed for our own figures. */
  readonly peers: readonly ("llama" | "formats" | "transformers")[];
}

/** Everyone who runs. */
export interface Contestants {
  readonly ours: OurEngine;
  /** With the cache in int8, when this build has it. */
  readonly int8: OurEngine | undefined;
  /** By format of the weights; "same": the GGUF that ours was compiled from. */
  readonly llama: ReadonlyMap<string, LlamaEngine>;
  /** @huggingface/transformers by dtype. */
  readonly hub: ReadonlyMap<HubType, HubEngine>;
}

const NOTES = [
  "tok/s of decoding alone, all rows together: prompts are in before the clock starts. *.step: the median time from token " +
    "to token. llama: node-llama-cpp on the same GGUF in the fastest of the ways that were tried (parameters tuned.*: how " +
    "its sequences are pulled, flash attention, type of its KV); llama.free: a `for await` loop a sequence, as an " +
    "application would write it, in the same context; llama.Q8_0 and llama.Q4_0: the same weights requantized, in their " +
    "fastest way. hub.*: @huggingface/transformers' own batched `generate` on our graph and weights, by dtype.",
  "ratio: contix over the faster of llama and llama.free, round by round. ratio.free: over llama.free. ratio.step: contix in " +
    "tok/s over llama's rate by its median step. ratio.bestFormat: contix in its faster KV format over the fastest of all " +
    "formats. ratio.int8kv: contix with int8 KV over the faster of llama and llama.free. hub.ratio: contix over the faster " +
    "dtype. sameFirst: the share of rows whose first token is the same in contix and llama.",
  "overBandwidth: one row's median step over the time that reading its weights and its context once takes at the bandwidth " +
    "that a reader on each core reached together in the same rounds (bench/harness/bandwidth.ts).",
];

export async function engine(options: EngineOptions): Promise<SuiteResult> {
  const versions = await installPeers();
  const dir =
    (await exactly(options.model, { kv: "fp32" })) ?? (await compiledModel(options.model));
  const stops: AsyncDisposable[] = [];
  try {
    const contestants = await start(options, dir, (stop) => stops.push(stop));
    const tuned = new Map<string, string>();
    const figures = await measure(contestants, dir, options, tuned);
    const parameters = {
      ...(await ourParameters(dir, options, contestants, versions)),
      ...Object.fromEntries([...tuned].map(([name, how]) => [`tuned.${name}`, how])),
    };
    return { parameters, figures, notes: NOTES };
  } finally {
    for (const stop of stops.reverse()) await stop[Symbol.asyncDispose]();
  }
}

async function measure(
  contestants: Contestants,
  dir: string,
  options: EngineOptions,
  tuned: Map<string, string>,
): Promise<Figure[]> {
  const text = await contestants.ours.encode(await evaluationText("tom-sawyer"));
  const figures: Figure[] = [];
  for (const context of options.contexts) {
    for (const rows of options.rows) {
      const prompts = windows(text, rows, context, options.seed);
      figures.push(...(await decodeFigures(contestants, prompts, options, tuned)));
      if (rows > 1) continue;
      figures.push(...(await memoryFigures(contestants.ours, dir, prompts, options)));
    }
  }
  if (options.prefill > 0) {
    const [prompt = []] = windows(text, 1, options.prefill, options.seed);
    figures.push(...(await prefillFigures(contestants, prompt, options.rounds, tuned)));
  }
  return figures;
}

async function start(
  options: EngineOptions,
  dir: string,
  onStart: (started: AsyncDisposable) => void,
): Promise<Contestants> {
  const { model, rows, contexts, prefill, steps, peers } = options;
  const threads = options.threads || availableParallelism();
  const slots = Math.max(...rows);
  const longest = Math.max(prefill, ...contexts) + steps + 2;
  const started = async <T extends AsyncDisposable>(starting: Promise<T>): Promise<T> => {
    const side = await starting;
    onStart(side);
    return side;
  };
  const ours = await started(OurEngine.start(dir, slots, longest, threads));
  const int8Dir = await exactly(model, { kv: "int8" });
  if (int8Dir === undefined) say("no int8 KV: its figures are not measured");
  const int8 = int8Dir && (await started(OurEngine.start(int8Dir, slots, longest, threads)));
  const llama = new Map<string, LlamaEngine>();
  for (const [format, path] of await ggufs(options)) {
    llama.set(format, await started(LlamaEngine.start(path, threads)));
  }
  const hub = new Map<HubType, HubEngine>();
  if (peers.includes("transformers")) {
    for (const dtype of ["q8", "fp32"] as const) {
      const from = await compiledModel(model, { recipe: dtype, kv: "fp32" });
      const exported = await exportForHub(from, dtype);
      hub.set(dtype, await started(HubEngine.start(exported, threads)));
    }
  }
  return { ours, int8: int8 || undefined, llama, hub };
}

/** The files for llama.cpp by format. */
async function ggufs({ model, gguf, peers }: EngineOptions): Promise<[string, string][]> {
  const files: [string, string][] = [];
  if (!peers.includes("llama")) return files;
  const same = gguf ?? (await ggufOf(model));
  files.push(["same", same]);
  if (!peers.includes("formats")) return files;
  for (const format of FORMATS) files.push([format, await requantized(same, format)]);
  return files;
}

async function ourParameters(
  dir: string,
  { model, steps, rounds, threads, seed }: EngineOptions,
  { ours, int8 }: Contestants,
  versions: PeerVersions,
): Promise<SuiteResult["parameters"]> {
  const { recipe, kv } = await readCompiled(dir);
  const peers = Object.entries(versions).map((entry) => entry.join(" "));
  return {
    model,
    recipe,
    kv,
    digest: ours.digest.slice(0, 12),
    int8kv: int8?.digest.slice(0, 12) ?? "this build has none",
    peers: peers.join(", "),
    steps,
    rounds,
    threads: threads || availableParallelism(),
    seed,
  };
}
