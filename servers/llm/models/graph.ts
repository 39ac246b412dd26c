/**
 * The graph of a decoder, as ONNX Runtime runs it fastest.
 *
 * One graph serves every batch size, so that who else runs can not change an
 * answer. Everything is 2-D, [B*S, features]; only attention sees [B, S, ·].
 * For each layer, with x the residual stream and h its normalized form:
 *
 *   qkv = h·Wqkv                      one matrix: rows of q, then k, then v
 *   a   = GroupQueryAttention(qkv)    rotary inside; keys and values are written
 *                                     in place when past and present are bound
 *                                     to the same memory
 *   x, h = x + a·Wo, norm of it       one fused node gives both
 *   m   = silu(h·Wgate) * (h·Wup)
 *   x, h = x + m·Wdown, norm of it
 *
 * That is llama. What other families add (biases, norms of heads, norms before the
 * sums, local layers, caps, scales) is named by the shape, and costs a node only
 * where the shape has it.
 *
 * The rows that `logit_idx` names leave through the head; no others are computed.
 * The head shares its bytes with the embedding where the model ties them.
 *
 * The builder writes no weight bytes: it returns the plan of what lies where in
 * the external data file (see compile.ts), with tensors under their GGUF names.
 */
import { COMPILED_FILES, type Form, type KvFormat } from "./compiled.js";
import {
  type Bias,
  biasTensors,
  type DecoderShape,
  globalRope,
  isLocal,
  localRope,
} from "./decoder-shape.js";
import { type AttentionWeights, attend, attentionConstants } from "./graph-attention.js";
import { DataType, GraphBuilder, MICROSOFT } from "./graph-nodes.js";
import {
  embed,
  linear,
  type Matrix,
  type MatrixInput,
  planMatrix,
  type WeightPlan,
} from "./graph-weights.js";
import type { Rope } from "./rotary.js";

/** Part of the engine digest: raise it with every change of the graph or of the weights' form. */
export const GRAPH_VERSION = 2;

/** What the names of probes start with; the rest names a norm's weights. */
export const PROBE = "probe.";

export interface DecoderGraph {
  /** The bytes of `model.onnx`. */
  readonly model: Uint8Array;
  /** What must be written to `weights.bin`, in order of offset. */
  readonly plan: readonly WeightPlan[];
  /** The length of `weights.bin`. */
  readonly weightBytes: number;
}

/**
 * Builds the graph of `shape`; GRAPH_VERSION and the arguments decide every byte of it.
 * With `probes` it also tells of each norm how far from zero its output goes, for each
 * feature over all rows: outputs `probe.<norm>`, for calibration. The weights lie as without.
 */
export function buildGraph(shape: DecoderShape, form: Form, { probes = false } = {}): DecoderGraph {
  return new DecoderBuilder(shape, form, probes).build();
}

const KV_TYPES: Readonly<Record<KvFormat, DataType>> = {
  fp32: DataType.FLOAT,
  int8: DataType.INT8,
};

/** The two names that flow from block to block: residual stream and its normalized form. */
interface Stream {
  readonly residual: string;
  readonly normed: string;
}

class DecoderBuilder {
  readonly #g = new GraphBuilder("contix", COMPILED_FILES.weights);
  readonly #plan: WeightPlan[] = [];
  readonly #shape: DecoderShape;
  readonly #form: Form;
  readonly #probes: boolean;

  constructor(shape: DecoderShape, form: Form, probes: boolean) {
    this.#shape = shape;
    this.#form = form;
    this.#probes = probes;
  }

  build(): DecoderGraph {
    const { vocab, hidden, layers } = this.#shape;
    this.#inputs();
    const embedding = this.#matrix("embed", ["token_embd.weight"], [vocab], hidden, "lookup");
    let stream = this.#start(embedding);
    for (let i = 0; i < layers; i++) stream = this.#layer(i, stream);
    this.#finish(stream, this.#head(embedding));
    return {
      model: this.#g.encode(String(GRAPH_VERSION)),
      plan: this.#plan,
      weightBytes: this.#g.externalBytes,
    };
  }

  /** The embedding itself where the model ties them and its form can multiply. */
  #head(embedding: Matrix): Matrix {
    const { tied, vocab, hidden } = this.#shape;
    if (tied && this.#form.recipe !== "int8") return embedding;
    const source = tied ? "token_embd.weight" : "output.weight";
    return this.#matrix("head", [source], [vocab], hidden, "outliers");
  }

  #inputs(): void {
    const { layers, kvHeads, headDim } = this.#shape;
    const g = this.#g;
    g.input("input_ids", DataType.INT64, ["B", "S"]);
    g.input("seqlens_k", DataType.INT32, ["B"]);
    g.input("total_len", DataType.INT32, [1]);
    g.input("logit_idx", DataType.INT64, ["N"]);
    for (let i = 0; i < layers; i++) {
      g.input(`past_k.${i}`, KV_TYPES[this.#form.kv], ["B", kvHeads, "T", headDim]);
      g.input(`past_v.${i}`, KV_TYPES[this.#form.kv], ["B", kvHeads, "T", headDim]);
    }
    g.int64("flat", [-1]);
    attentionConstants(g, this.#shape);
    this.#rotary();
  }

  /** Plans the rotary tables of the kinds of layers that there are. */
  #rotary(): void {
    const { local } = this.#shape;
    const locals = Array.from({ length: this.#shape.layers }, (_, i) => isLocal(this.#shape, i));
    const plan = (suffix: string, rope: Rope) => {
      for (const part of ["cos", "sin"] as const) {
        const dims = [rope.window, rope.headDim / 2];
        const region = this.#g.weight(`${part}${suffix}`, DataType.FLOAT, dims);
        this.#plan.push({ kind: "rotary", rope, part, region });
      }
    };
    if (locals.includes(false)) plan("", globalRope(this.#shape));
    if (local && locals.includes(true)) plan(".local", localRope(this.#shape, local));
  }

  /** Embeds the ids and normalizes them for the first layer. */
  #start(embedding: Matrix): Stream {
    const { embeddingScale } = this.#shape;
    const g = this.#g;
    g.node("Reshape", ["input_ids", "flat"], ["ids"]);
    const scaled = embeddingScale !== undefined;
    const embedded = embed(g, embedding, "ids", scaled ? "embedded" : "x0");
    const residual = scaled
      ? g.node("Mul", [embedded, g.float("embedding_scale", embeddingScale)], ["x0"])
      : embedded;
    return { residual, normed: this.#norm("h0", residual, "blk.0.attn_norm.weight") };
  }

  #layer(i: number, stream: Stream): Stream {
    const { layers, postNorms } = this.#shape;
    const post = (delta: string, name: string) =>
      postNorms ? this.#norm(`${delta}.post`, delta, `blk.${i}.${name}.weight`) : delta;
    const afterAttention = this.#addAndNorm(
      `${i}.attention`,
      post(this.#attention(i, stream.normed), "post_attention_norm"),
      stream.residual,
      `blk.${i}.ffn_norm.weight`,
    );
    const last = i === layers - 1;
    return this.#addAndNorm(
      `${i}.mlp`,
      post(this.#mlp(i, afterAttention.normed), "post_ffw_norm"),
      afterAttention.residual,
      last ? "output_norm.weight" : `blk.${i + 1}.attn_norm.weight`,
    );
  }

  #attention(i: number, normed: string): string {
    const { heads, kvHeads, headDim, hidden } = this.#shape;
    const g = this.#g;
    const rows = [heads * headDim, kvHeads * headDim, kvHeads * headDim];
    const sources = ["q", "k", "v"].map((part) => `blk.${i}.attn_${part}.weight`);
    this.#probe(normed, `blk.${i}.attn_norm.weight`);
    const weights = this.#matrix(`${i}.qkv`, sources, rows, hidden, "norm");
    const qkv = this.#biased("qkv", linear(g, weights, normed), rows, i);
    const attended = attend(g, this.#shape, i, qkv, this.#attentionWeights(i));
    const name = `blk.${i}.attn_output.weight`;
    const output = this.#matrix(`${i}.o`, [name], [hidden], heads * headDim, "attention");
    return this.#biased("attn_output", linear(g, output, attended), [hidden], i);
  }

  #attentionWeights(i: number): AttentionWeights {
    const { headDim, qkNorm } = this.#shape;
    const suffix = isLocal(this.#shape, i) ? ".local" : "";
    const tables = { cos: `cos${suffix}`, sin: `sin${suffix}` };
    const scales = this.#form.kv === "int8" && { kvScales: this.#kvScales(i) };
    if (!qkNorm) return { ...tables, ...scales };
    const q = this.#vector(`blk.${i}.attn_q_norm.weight`, headDim);
    const k = this.#vector(`blk.${i}.attn_k_norm.weight`, headDim);
    return { ...tables, ...scales, headNorms: { q, k } };
  }

  /** Plans the calibrated scales of keys and values, for each feature of each head. */
  #kvScales(layer: number): { readonly k: string; readonly v: string } {
    const { kvHeads, headDim } = this.#shape;
    const plan = (part: "k" | "v"): string => {
      const name = `${layer}.${part}.scale`;
      const region = this.#g.weight(name, DataType.FLOAT, [kvHeads, headDim]);
      this.#plan.push({ kind: "kv_scale", layer, part, region });
      return name;
    };
    return { k: plan("k"), v: plan("v") };
  }

  #mlp(i: number, normed: string): string {
    const { ffn, hidden } = this.#shape;
    const g = this.#g;
    this.#probe(normed, `blk.${i}.ffn_norm.weight`);
    const gates = this.#matrix(`${i}.gate`, [`blk.${i}.ffn_gate.weight`], [ffn], hidden, "norm");
    const ups = this.#matrix(`${i}.up`, [`blk.${i}.ffn_up.weight`], [ffn], hidden, "norm");
    const gate = this.#biased("ffn_gate", linear(g, gates, normed), [ffn], i);
    const up = this.#biased("ffn_up", linear(g, ups, normed), [ffn], i);
    const gated = g.node("Mul", [this.#activated(i, gate), up], [`${i}.gated`]);
    const name = `blk.${i}.ffn_down.weight`;
    const downs = this.#matrix(`${i}.down`, [name], [hidden], ffn, "outliers");
    return this.#biased("ffn_down", linear(g, downs, gated), [hidden], i);
  }

  #activated(i: number, gate: string): string {
    if (this.#shape.activation === "gelu") {
      return this.#g.node("Gelu", [gate], [`${i}.gelu`], { approximate: { s: "tanh" } });
    }
    // With alpha 1 QuickGelu is x * sigmoid(x), which is silu, in one vectorized pass.
    return this.#g.node("QuickGelu", [gate], [`${i}.silu`], { alpha: { f: 1 } }, MICROSOFT);
  }

  /** residual + delta, and its RMS norm. */
  #addAndNorm(name: string, delta: string, residual: string, gammaName: string): Stream {
    const normed = `${name}.normed`;
    const sum = `${name}.sum`;
    this.#g.node(
      "SkipSimplifiedLayerNormalization",
      [delta, residual, this.#vector(gammaName)],
      [normed, "", "", sum],
      { epsilon: { f: this.#shape.normEps } },
      MICROSOFT,
    );
    return { residual: sum, normed };
  }

  /** The RMS norm of x. */
  #norm(name: string, x: string, gammaName: string): string {
    const inputs = [x, this.#vector(gammaName)];
    const attributes = { axis: { i: -1 }, epsilon: { f: this.#shape.normEps } };
    return this.#g.node("SimplifiedLayerNormalization", inputs, [name], attributes);
  }

  #finish(stream: Stream, head: Matrix): void {
    const { layers, kvHeads, headDim, vocab } = this.#shape;
    const g = this.#g;
    g.node("Gather", [stream.normed, "logit_idx"], ["head_rows"], { axis: { i: 0 } });
    this.#logits(head);
    g.output("logits", DataType.FLOAT, ["N", vocab]);
    for (let i = 0; i < layers; i++) {
      g.output(`present_k.${i}`, KV_TYPES[this.#form.kv], ["B", kvHeads, "T", headDim]);
      g.output(`present_v.${i}`, KV_TYPES[this.#form.kv], ["B", kvHeads, "T", headDim]);
    }
  }

  #logits(head: Matrix): void {
    const { logitSoftcap: cap, vocab } = this.#shape;
    const g = this.#g;
    const biased = this.#has("output");
    const uncapped = cap === undefined ? "logits" : "uncapped_logits";
    const product = linear(g, head, "head_rows", biased ? "unbiased_logits" : uncapped);
    if (biased) this.#add("output", product, [vocab], uncapped);
    if (cap === undefined) return;
    g.node("Mul", [uncapped, g.float("per_cap", 1 / cap)], ["logits_per_cap"]);
    g.node("Tanh", ["logits_per_cap"], ["bent_logits"]);
    g.node("Mul", ["bent_logits", g.float("cap", cap)], ["logits"]);
  }

  #has(bias: Bias): boolean {
    return this.#shape.biases?.includes(bias) ?? false;
  }

  /** y, or y + bias where the model has one. */
  #biased(bias: Bias, y: string, lengths: readonly number[], layer: number): string {
    if (!this.#has(bias)) return y;
    return this.#add(bias, y, lengths, `${y}.biased`, layer);
  }

  /** y + bias: the vectors of its tensors, one after the other. */
  #add(bias: Bias, y: string, lengths: readonly number[], sum: string, layer = 0): string {
    const whole = lengths.reduce((total, length) => total + length, 0);
    let { offset } = this.#g.weight(`${y}.bias`, DataType.FLOAT, [whole]);
    for (const [i, source] of biasTensors(bias, layer).entries()) {
      const region = { offset, length: (lengths[i] ?? 0) * 4 };
      this.#plan.push({ kind: "vector", source, length: lengths[i] ?? 0, region });
      offset += region.length;
    }
    return this.#g.node("Add", [y, `${y}.bias`], [sum]);
  }

  /** Plans a norm's weights; returns their name. */
  #vector(source: string, length = this.#shape.hidden): string {
    const region = this.#g.weight(source, DataType.FLOAT, [length]);
    this.#plan.push({ kind: "vector", source, length, region });
    return source;
  }

  /** Tells how far `normed`, the output of the norm with the weights `gamma`, goes from zero. */
  #probe(normed: string, gamma: string): void {
    if (!this.#probes) return;
    const g = this.#g;
    if (g.first("probe.axis")) g.int64("probe.rows", [0]);
    g.node("Abs", [normed], [`${gamma}.abs`]);
    const name = `${PROBE}${gamma}`;
    g.node("ReduceMax", [`${gamma}.abs`, "probe.rows"], [name], { keepdims: { i: 0 } });
    g.output(name, DataType.FLOAT, [this.#shape.hidden]);
  }

  /** Plans a matrix made of the rows of `sources`, one under the other. */
  #matrix(
    name: string,
    sources: readonly string[],
    rows: readonly number[],
    cols: number,
    input: MatrixInput,
  ): Matrix {
    const parts = sources.map((source, i) => ({ source, rows: rows[i] ?? 0 }));
    const matrix = planMatrix(this.#g, this.#form.recipe, name, parts, cols, input);
    this.#plan.push(matrix.plan);
    return matrix;
  }
}
