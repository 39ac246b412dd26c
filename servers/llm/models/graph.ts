/**
 * The graph of a llama-family decoder, as ONNX Runtime runs it fastest.
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
 * The rows that `logit_idx` names leave through the head; no others are computed.
 * The head shares its bytes with the embedding where the model ties them.
 *
 * The builder writes no weight bytes: it returns the plan of what lies where in
 * the external data file (see compile.ts), with tensors under their GGUF names.
 */
import { COMPILED_FILES, type Recipe } from "./compiled.js";
import { DataType, GraphBuilder, MICROSOFT } from "./graph-nodes.js";
import { embed, linear, type Matrix, planMatrix, type WeightPlan } from "./graph-weights.js";

/** Part of the engine digest: raise it with every change of the graph or of the weights' form. */
export const GRAPH_VERSION = 1;

/** The numbers that make a llama-family model. */
export interface LlamaShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly vocab: number;
  readonly window: number;
  readonly ropeTheta: number;
  readonly normEps: number;
  /** The head is the embedding matrix. */
  readonly tied: boolean;
}

export interface LlamaGraph {
  /** The bytes of `model.onnx`. */
  readonly model: Uint8Array;
  /** What must be written to `weights.bin`, in order of offset. */
  readonly plan: readonly WeightPlan[];
  /** The length of `weights.bin`. */
  readonly weightBytes: number;
}

/** Builds the graph of `shape`; GRAPH_VERSION and the arguments decide every byte of it. */
export function buildLlamaGraph(shape: LlamaShape, recipe: Recipe): LlamaGraph {
  return new LlamaBuilder(shape, recipe).build();
}

/** The two names that flow from block to block: residual stream and its normalized form. */
interface Stream {
  readonly residual: string;
  readonly normed: string;
}

class LlamaBuilder {
  readonly #g = new GraphBuilder("contix-llama", COMPILED_FILES.weights);
  readonly #plan: WeightPlan[] = [];
  readonly #shape: LlamaShape;
  readonly #recipe: Recipe;

  constructor(shape: LlamaShape, recipe: Recipe) {
    this.#shape = shape;
    this.#recipe = recipe;
  }

  build(): LlamaGraph {
    this.#inputs();
    const embedding = this.#matrix("embed", ["token_embd.weight"], [this.#shape.vocab], "hidden");
    let stream = this.#start(embedding);
    for (let i = 0; i < this.#shape.layers; i++) stream = this.#layer(i, stream);
    const head = this.#shape.tied
      ? embedding
      : this.#matrix("head", ["output.weight"], [this.#shape.vocab], "hidden");
    this.#finish(stream, head);
    return {
      model: this.#g.encode(String(GRAPH_VERSION)),
      plan: this.#plan,
      weightBytes: this.#g.externalBytes,
    };
  }

  #inputs(): void {
    const { layers, kvHeads, headDim, heads, window } = this.#shape;
    const g = this.#g;
    g.input("input_ids", DataType.INT64, ["B", "S"]);
    g.input("seqlens_k", DataType.INT32, ["B"]);
    g.input("total_len", DataType.INT32, [1]);
    g.input("logit_idx", DataType.INT64, ["N"]);
    for (let i = 0; i < layers; i++) {
      g.input(`past_k.${i}`, DataType.FLOAT, ["B", kvHeads, "T", headDim]);
      g.input(`past_v.${i}`, DataType.FLOAT, ["B", kvHeads, "T", headDim]);
    }
    g.int64("flat", [-1]);
    g.int64("attention_rows", [-1, heads * headDim]);
    g.int64("qkv_features", [(heads + 2 * kvHeads) * headDim]);
    g.node("Shape", ["input_ids"], ["batch_shape"]);
    g.node("Concat", ["batch_shape", "qkv_features"], ["qkv_shape"], { axis: { i: 0 } });
    for (const name of ["cos", "sin"] as const) {
      const region = g.weight(name, DataType.FLOAT, [window, headDim / 2]);
      this.#plan.push({ kind: "rotary", part: name, region });
    }
  }

  /** Embeds the ids and normalizes them for the first layer. */
  #start(embedding: Matrix): Stream {
    const g = this.#g;
    g.node("Reshape", ["input_ids", "flat"], ["ids"]);
    const residual = embed(g, embedding, "ids", "x0");
    const gamma = this.#vector("blk.0.attn_norm.weight");
    const attributes = { axis: { i: -1 }, epsilon: { f: this.#shape.normEps } };
    g.node("SimplifiedLayerNormalization", [residual, gamma], ["h0"], attributes);
    return { residual, normed: "h0" };
  }

  #layer(i: number, stream: Stream): Stream {
    const afterAttention = this.#addAndNorm(
      `${i}.attention`,
      this.#attention(i, stream.normed),
      stream.residual,
      `blk.${i}.ffn_norm.weight`,
    );
    const last = i === this.#shape.layers - 1;
    return this.#addAndNorm(
      `${i}.mlp`,
      this.#mlp(i, afterAttention.normed),
      afterAttention.residual,
      last ? "output_norm.weight" : `blk.${i + 1}.attn_norm.weight`,
    );
  }

  #attention(i: number, normed: string): string {
    const { heads, kvHeads, headDim } = this.#shape;
    const g = this.#g;
    const sources = ["q", "k", "v"].map((part) => `blk.${i}.attn_${part}.weight`);
    const rows = [heads * headDim, kvHeads * headDim, kvHeads * headDim];
    const qkv = linear(g, this.#matrix(`${i}.qkv`, sources, rows, "hidden"), normed);
    const inputs = [
      g.node("Reshape", [qkv, "qkv_shape"], [`${i}.qkv3`]),
      ...["", "", `past_k.${i}`, `past_v.${i}`, "seqlens_k", "total_len", "cos", "sin"],
    ];
    const outputs = [`${i}.attention3`, `present_k.${i}`, `present_v.${i}`] as const;
    const attributes = {
      num_heads: { i: heads },
      kv_num_heads: { i: kvHeads },
      do_rotary: { i: 1 },
      rotary_interleaved: { i: 0 },
    };
    g.node("GroupQueryAttention", inputs, outputs, attributes, MICROSOFT);
    const attended = g.node("Reshape", [outputs[0], "attention_rows"], [`${i}.attended`]);
    const name = `blk.${i}.attn_output.weight`;
    return linear(g, this.#matrix(`${i}.o`, [name], [this.#shape.hidden], "attention"), attended);
  }

  #mlp(i: number, normed: string): string {
    const { ffn, hidden } = this.#shape;
    const g = this.#g;
    const gateWeights = this.#matrix(`${i}.gate`, [`blk.${i}.ffn_gate.weight`], [ffn], "hidden");
    const upWeights = this.#matrix(`${i}.up`, [`blk.${i}.ffn_up.weight`], [ffn], "hidden");
    const gate = linear(g, gateWeights, normed);
    const up = linear(g, upWeights, normed);
    // With alpha 1 QuickGelu is x * sigmoid(x), which is silu, in one vectorized pass.
    g.node("QuickGelu", [gate], [`${i}.silu`], { alpha: { f: 1 } }, MICROSOFT);
    const product = g.node("Mul", [`${i}.silu`, up], [`${i}.gated`]);
    return linear(
      g,
      this.#matrix(`${i}.down`, [`blk.${i}.ffn_down.weight`], [hidden], "ffn"),
      product,
    );
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

  #finish(stream: Stream, head: Matrix): void {
    const { layers, kvHeads, headDim, vocab } = this.#shape;
    const g = this.#g;
    g.node("Gather", [stream.normed, "logit_idx"], ["head_rows"], { axis: { i: 0 } });
    linear(g, head, "head_rows", "logits");
    g.output("logits", DataType.FLOAT, ["N", vocab]);
    for (let i = 0; i < layers; i++) {
      g.output(`present_k.${i}`, DataType.FLOAT, ["B", kvHeads, "T", headDim]);
      g.output(`present_v.${i}`, DataType.FLOAT, ["B", kvHeads, "T", headDim]);
    }
  }

  /** Plans a norm's weights; returns their name. */
  #vector(source: string): string {
    const region = this.#g.weight(source, DataType.FLOAT, [this.#shape.hidden]);
    this.#plan.push({ kind: "vector", source, length: this.#shape.hidden, region });
    return source;
  }

  /** Plans a matrix made of the rows of `sources`, one under the other. */
  #matrix(
    name: string,
    sources: readonly string[],
    rows: readonly number[],
    from: "hidden" | "attention" | "ffn",
  ): Matrix {
    const { hidden, heads, headDim, ffn } = this.#shape;
    const cols = { hidden, attention: heads * headDim, ffn }[from];
    const parts = sources.map((source, i) => ({ source, rows: rows[i] ?? 0 }));
    const matrix = planMatrix(this.#g, this.#recipe, name, parts, cols);
    this.#plan.push(matrix.plan);
    return matrix;
  }
}
