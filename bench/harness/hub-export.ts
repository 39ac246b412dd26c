/**
 * A compiled model in the layout that @huggingface/transformers expects of a language model of
 * the hub: the very graph and weights of the model library, under the inputs and outputs of an
 * onnx-community export (attention mask in, past_key_values.N.key and .value in, present.N.* out,
 * the logits of the last place out). So the peer computes with the operators that we do; what
 * differs is how it holds the cache, batches and samples.
 */
import { copyFile, link, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ModelProto, type NodeProto } from "../../proto/gen/onnx/onnx.js";
import {
  COMPILED_FILES,
  type CompiledModel,
  readCompiled,
} from "../../servers/llm/models/compiled.js";
import { DataType, GraphBuilder } from "../../servers/llm/models/graph-nodes.js";
import { inCache } from "./cache.js";

/** Raise it with every change of the export. */
const EXPORT_VERSION = 1;

/** What the library calls a file of each kind: "q8" is `model_quantized.onnx`. */
const FILES = { fp32: "model.onnx", q8: "model_quantized.onnx" } as const;
export type HubType = keyof typeof FILES;

export interface HubModel {
  readonly folder: string;
  readonly name: string;
  readonly dtype: HubType;
}

/**
 * The compiled model in `dir`, exported into the cache when it is not there.
 * @throws Error when its graph does not keep the contract of graph.ts with a cache in fp32
 */
export async function exportForHub(dir: string, dtype: HubType): Promise<HubModel> {
  const config = await readCompiled(dir);
  const folder = inCache("hub");
  const target = join(folder, `${config.engineDigest}-${EXPORT_VERSION}`);
  const model: HubModel = { folder, name: basename(target), dtype };
  if ((await stat(join(target, "config.json")).catch(() => undefined)) !== undefined) return model;
  const partial = `${target}.partial-${process.pid}`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(join(partial, "onnx"), { recursive: true });
  const graph = ModelProto.decode(await readFile(join(dir, COMPILED_FILES.graph)));
  await writeFile(join(partial, "onnx", FILES[dtype]), renamed(graph, config));
  const weights = join(dir, COMPILED_FILES.weights);
  // A link: ONNX Runtime refuses external data that a symbolic link leads away from the model.
  const own = join(partial, "onnx", COMPILED_FILES.weights);
  await link(weights, own).catch(() => copyFile(weights, own));
  await writeFile(join(partial, "config.json"), hubConfig(config));
  await mkdir(dirname(target), { recursive: true });
  await rename(partial, target);
  return model;
}

function hubConfig(config: CompiledModel): string {
  const { hidden, ffn, layers, heads, kvHeads, headDim, vocab, window } = config;
  return JSON.stringify({
    model_type: "llama",
    architectures: ["LlamaForCausalLM"],
    hidden_size: hidden,
    intermediate_size: ffn,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    vocab_size: vocab,
    max_position_embeddings: window,
  });
}

/** The graph's bytes under the hub's names. */
function renamed(model: ModelProto, { layers, kvHeads, headDim, vocab }: CompiledModel) {
  const { graph } = model;
  if (graph === undefined) throw new Error("the model file has no graph");
  const names = new Map([["logits", "logits_rows"]]);
  for (let i = 0; i < layers; i++) {
    for (const [short, long] of [
      ["k", "key"],
      ["v", "value"],
    ]) {
      names.set(`past_${short}.${i}`, `past_key_values.${i}.${long}`);
      names.set(`present_${short}.${i}`, `present.${i}.${long}`);
    }
  }
  const expected = ["input_ids", "seqlens_k", "total_len", "logit_idx", ...pastNames(layers)];
  const found = graph.input.map(({ name }) => name);
  if (found.length !== expected.length || !expected.every((name) => found.includes(name))) {
    throw new Error(`the graph's inputs are ${found.join(", ")}`);
  }
  const rename = (name: string): string => names.get(name) ?? name;
  for (const node of graph.node) {
    node.name = rename(node.name);
    node.input = node.input.map(rename);
    node.output = node.output.map(rename);
  }
  const around = aroundGraph(layers, [kvHeads, headDim], vocab);
  graph.node = [...around.before, ...graph.node, ...around.after];
  graph.initializer = [...around.constants, ...graph.initializer];
  graph.input = around.inputs;
  graph.output = around.outputs;
  return ModelProto.encode(model).finish();
}

function pastNames(layers: number): string[] {
  return Array.from({ length: layers }, (_, i) => [`past_k.${i}`, `past_v.${i}`]).flat();
}

/** What the hub's inputs and outputs are, and the nodes between them and ours. */
function aroundGraph(layers: number, [kvHeads, headDim]: [number, number], vocab: number) {
  const g = new GraphBuilder("around", "");
  // The library makes the first, empty cache from the name "batch_size"; other names are 0 to it.
  const past = ["batch_size", kvHeads, "past_sequence_length", headDim];
  const present = ["batch_size", kvHeads, "total_sequence_length", headDim];
  g.input("input_ids", DataType.INT64, ["batch_size", "sequence_length"]);
  g.input("attention_mask", DataType.INT64, ["batch_size", "total_sequence_length"]);
  g.output("logits", DataType.FLOAT, ["batch_size", 1, vocab]);
  for (let i = 0; i < layers; i++) {
    for (const part of ["key", "value"]) {
      g.input(`past_key_values.${i}.${part}`, DataType.FLOAT, past);
      g.output(`present.${i}.${part}`, DataType.FLOAT, present);
    }
  }
  const [one, two] = [g.int64("hub.one", [1]), g.int64("hub.two", [2])];
  const zero = g.int64("hub.zero", [0]);
  // Of each row the position of its last token; the length of the longest row.
  g.node("ReduceSum", ["attention_mask", one], ["hub.lengths"], { keepdims: { i: 0 } });
  g.node("Sub", ["hub.lengths", one], ["hub.lasts"]);
  g.node("Cast", ["hub.lasts"], ["seqlens_k"], { to: { i: DataType.INT32 } });
  g.node("Shape", ["attention_mask"], ["hub.mask_shape"]);
  g.node("Slice", ["hub.mask_shape", one, two], ["hub.total"]);
  g.node("Cast", ["hub.total"], ["total_len"], { to: { i: DataType.INT32 } });
  // The last place of each row: S - 1, 2 S - 1, ...
  g.node("Shape", ["input_ids"], ["hub.shape"]);
  g.node("Slice", ["hub.shape", one, two], ["hub.S"]);
  g.node("ReduceProd", ["hub.shape"], ["hub.BS"], { keepdims: { i: 0 } });
  g.node("Squeeze", ["hub.S", zero], ["hub.step"]);
  g.node("Sub", ["hub.S", one], ["hub.first1"]);
  g.node("Squeeze", ["hub.first1", zero], ["hub.first"]);
  g.node("Range", ["hub.first", "hub.BS", "hub.step"], ["logit_idx"]);
  const before = nodesOf(g);
  g.node("Unsqueeze", ["logits_rows", one], ["logits"]);
  const { node, input, output, initializer } = decoded(g);
  const after: NodeProto[] = node.slice(before.length);
  return { before, after, inputs: input, outputs: output, constants: initializer };
}

function nodesOf(g: GraphBuilder): NodeProto[] {
  return decoded(g).node;
}

function decoded(g: GraphBuilder) {
  const { graph } = ModelProto.decode(g.encode(""));
  if (graph === undefined) throw new Error("no graph was built");
  return graph;
}
