/**
 * What is in the directory of an embedding model: an ONNX export of an encoder, or the
 * safetensors file of a BERT, as sentence-transformers lays them out.
 */
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";
import { fileWithin, findGraph, homeOf, jsonFile } from "../onnx-export/export-files.js";
import { type GraphFile, readGraphFile } from "../onnx-export/graph-file.js";
import type { ExportFile } from "../onnx-export/inspect.js";
import { type BertShape, buildBertGraph } from "./bert-graph.js";
import { readSafeTensors } from "./safetensors.js";

/** How the vectors of a text's tokens become one. */
export const Pooling = z.enum(["mean", "cls"]);
export type Pooling = z.infer<typeof Pooling>;

export interface EmbedderFacts {
  readonly arch: string;
  readonly dimensions: number;
  /** The most tokens of a text. */
  readonly window: number;
  readonly vocab: number;
  readonly pooling: Pooling;
  /** Names of the inputs beside input_ids. */
  readonly inputs: readonly string[];
  /** The output [texts, tokens, dimensions]. */
  readonly output: string;
  /** The files to keep: the graph first, when it is one of them. */
  readonly files: readonly ExportFile[];
  /** The graph's name; and its bytes, when it is none of the files. */
  readonly graph: string;
  readonly built: Uint8Array | undefined;
  readonly tokenizer: object;
}

const WEIGHTS = "model.safetensors";
const GRAPH = "model.onnx";
const INPUTS = ["attention_mask", "token_type_ids"];
const OUTPUTS = ["last_hidden_state", "token_embeddings"];
const FLOAT = 1;
const INT64 = 7;

const size = z.number().int().positive().max(10_000_000);
const Config = z.object({
  model_type: z.string().min(1).max(100),
  vocab_size: size,
  hidden_size: size,
  num_hidden_layers: size.max(1_000),
  num_attention_heads: size,
  intermediate_size: size,
  max_position_embeddings: size,
  layer_norm_eps: z.number().positive().default(1e-12),
  hidden_act: z.string().default("gelu"),
  position_embedding_type: z.string().default("absolute"),
});
type Config = z.infer<typeof Config>;
const Sentences = z.object({ max_seq_length: size.nullish() });
const Modes = z.record(z.string(), z.unknown());

/**
 * Reads the directory `top`; an ONNX file goes before safetensors.
 * @throws ContixError EMODEL that says what is missing or of no kind that runs here
 */
export async function inspectEmbedder(top: string, graph?: string): Promise<EmbedderFacts> {
  const found = graph ?? (await findGraph(top).catch(() => undefined));
  const dir = found === undefined ? top : await homeOf(top, found);
  const config = parse(Config, await needed(dir, "config.json"), "config.json");
  const tokenizer = parse(z.looseObject({}), await needed(dir, "tokenizer.json"), "tokenizer.json");
  const common = {
    arch: config.model_type,
    dimensions: config.hidden_size,
    window: await windowOf(dir, config),
    vocab: config.vocab_size,
    pooling: await poolingOf(dir),
    tokenizer,
  };
  if (found !== undefined) return { ...common, ...(await exported(top, found, config)) };
  const path = await fileWithin(dir, WEIGHTS).catch(() => undefined);
  if (path === undefined) throw new ContixError("EMODEL", `${dir} has neither ONNX nor ${WEIGHTS}`);
  const built = buildBertGraph(bertShape(config), await readSafeTensors(path), WEIGHTS);
  const files = [{ name: WEIGHTS, path }];
  return { ...common, files, built, graph: GRAPH, inputs: [], output: "last_hidden_state" };
}

/**
 * Whether the graph `name` in `dir` reads texts and generates none: it has no past.
 * @throws ContixError EMODEL when it is no graph
 */
export async function isEncoder(dir: string, name: string): Promise<boolean> {
  const { inputs, outputs } = readGraphFile(await fileWithin(dir, name));
  const generates = inputs.some((value) => value.name.startsWith("past_key_values"));
  return !generates && outputs.some((value) => OUTPUTS.includes(value.name));
}

async function exported(dir: string, name: string, config: Config) {
  const path = await fileWithin(dir, name);
  const graph = readGraphFile(path);
  const { inputs, output } = wiring(graph, config);
  const folder = join(dir, dirname(name));
  const weights = await Promise.all(
    [...graph.external]
      .sort()
      .map(async (file) => ({ name: file, path: await fileWithin(folder, file) })),
  );
  const files = [{ name: basename(name), path }, ...weights];
  return { files, inputs, output, graph: basename(name), built: undefined };
}

/** Which inputs a run gives besides the ids, and which output it reads. */
function wiring(graph: GraphFile, config: Config): { inputs: string[]; output: string } {
  const names = graph.inputs.map(({ name }) => name);
  for (const { name, type, dims } of graph.inputs) {
    if (name !== "input_ids" && !INPUTS.includes(name)) {
      throw refused(`input "${name}" is none of an encoder of text`);
    }
    if (type !== INT64 || dims.length !== 2)
      throw refused(`input "${name}" is not int64 [1, tokens]`);
  }
  if (!names.includes("input_ids")) throw refused('it has no input "input_ids"');
  const output = graph.outputs.find(({ name }) => OUTPUTS.includes(name));
  if (output === undefined) throw refused(`it has no output ${OUTPUTS.join(" or ")}`);
  const width = output.dims[2] ?? config.hidden_size;
  if (output.type !== FLOAT || output.dims.length !== 3 || width !== config.hidden_size) {
    throw refused(`output "${output.name}" is not float32 [1, tokens, ${config.hidden_size}]`);
  }
  return { inputs: INPUTS.filter((name) => names.includes(name)), output: output.name };
}

function bertShape(config: Config): BertShape {
  const wanted = { model_type: "bert", hidden_act: "gelu", position_embedding_type: "absolute" };
  for (const [key, value] of Object.entries(wanted)) {
    const found = config[key as keyof typeof wanted];
    if (found !== value)
      throw refused(`without an ONNX file ${key} must be ${value}, not ${found}`);
  }
  if (config.hidden_size % config.num_attention_heads !== 0) {
    throw refused(`${config.num_attention_heads} heads do not divide ${config.hidden_size}`);
  }
  return {
    layers: config.num_hidden_layers,
    hidden: config.hidden_size,
    heads: config.num_attention_heads,
    ffn: config.intermediate_size,
    vocab: config.vocab_size,
    positions: config.max_position_embeddings,
    normEps: config.layer_norm_eps,
  };
}

async function windowOf(dir: string, config: Config): Promise<number> {
  const file = "sentence_bert_config.json";
  const { max_seq_length: most } = parse(Sentences, (await jsonFile(dir, file)) ?? {}, file);
  // RoBERTa's positions start behind its padding token.
  const shift = config.model_type.includes("roberta") ? 2 : 0;
  const positions = config.max_position_embeddings - shift;
  const tokens = Math.min(most ?? positions, positions);
  if (tokens < 3) throw refused(`it takes ${tokens} tokens at most`);
  return tokens;
}

/** 1_Pooling/config.json; without it the mean, as most models were made for. */
async function poolingOf(dir: string): Promise<Pooling> {
  const file = join("1_Pooling", "config.json");
  const modes = parse(
    Modes,
    (await jsonFile(dir, file)) ?? { pooling_mode_mean_tokens: true },
    file,
  );
  const set = Object.keys(modes).filter((k) => k.startsWith("pooling_mode_") && modes[k] === true);
  if (set.join() === "pooling_mode_mean_tokens") return "mean";
  if (set.join() === "pooling_mode_cls_token") return "cls";
  throw refused(`its pooling is ${set.join(" and ") || "none"}; it must be mean or cls`);
}

async function needed(dir: string, name: string): Promise<unknown> {
  const json = await jsonFile(dir, name);
  if (json === undefined) throw new ContixError("EMODEL", `${dir} has no ${name}`);
  return json;
}

function parse<T>(schema: z.ZodType<T>, json: unknown, file: string): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue?.path.join(".") ?? "";
  throw new ContixError("EMODEL", `${file}: ${where}: ${issue?.message ?? ""}`);
}

function refused(why: string): ContixError {
  return new ContixError("EMODEL", `the embedding model can not be run: ${why}`);
}
