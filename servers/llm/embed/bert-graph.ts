/**
 * The graph of a BERT encoder over the weights of a safetensors file, where they lie: the
 * graph only names their places in it, so nothing is converted or copied.
 *
 * It takes texts of one length, whole: [B, S] ids, no mask and no padding. Features are
 * 2-D, [B*S, H]; only attention sees heads. For each layer, with x its input:
 *
 *   a = softmax(q·kᵀ / √d)·v       of q, k, v = x·W + b, per head
 *   x = norm(x + a·Wo + b)
 *   x = norm(x + gelu(x·W1 + b)·W2 + b)
 */
import { ContixError } from "../../../proto/errno.js";
import { DataType, GraphBuilder } from "../models/graph-nodes.js";
import type { SafeTensor } from "./safetensors.js";

export interface BertShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly ffn: number;
  readonly vocab: number;
  readonly positions: number;
  readonly normEps: number;
}

/** Part of the engine digest: raise it with every change of the graph. */
export const BERT_GRAPH_VERSION = 1;

/** Some files put this before every name. */
const PREFIXES = ["", "bert."];

/**
 * The bytes of the ONNX file; `location` is the weights' file beside it.
 * @throws ContixError EMODEL for a tensor that is missing or of another shape or type
 */
export function buildBertGraph(
  shape: BertShape,
  tensors: ReadonlyMap<string, SafeTensor>,
  location: string,
): Uint8Array {
  return new BertBuilder(shape, tensors, location).build();
}

class BertBuilder {
  readonly #g: GraphBuilder;
  readonly #shape: BertShape;
  readonly #tensors: ReadonlyMap<string, SafeTensor>;
  readonly #prefix: string;

  constructor(shape: BertShape, tensors: ReadonlyMap<string, SafeTensor>, location: string) {
    this.#g = new GraphBuilder("contix-bert", location);
    this.#shape = shape;
    this.#tensors = tensors;
    const first = "embeddings.word_embeddings.weight";
    this.#prefix = PREFIXES.find((prefix) => tensors.has(prefix + first)) ?? "";
  }

  build(): Uint8Array {
    const { hidden, heads, layers } = this.#shape;
    const g = this.#g;
    g.input("input_ids", DataType.INT64, ["B", "S"]);
    g.int64("zero", [0]);
    g.int64("one", [1]);
    g.int64("head_shape", [heads, hidden / heads]);
    g.int64("rows", [-1, hidden]);
    g.int64("hidden", [hidden]);
    g.float("scale", 1 / Math.sqrt(hidden / heads));
    g.node("Shape", ["input_ids"], ["shape"]);
    g.node("Concat", ["shape", "head_shape"], ["by_head"], { axis: { i: 0 } });
    g.node("Concat", ["shape", "hidden"], ["by_text"], { axis: { i: 0 } });
    let x = this.#embeddings();
    for (let i = 0; i < layers; i++) x = this.#layer(i, x);
    g.node("Reshape", [x, "by_text"], ["last_hidden_state"]);
    g.output("last_hidden_state", DataType.FLOAT, ["B", "S", hidden]);
    return g.encode(String(BERT_GRAPH_VERSION));
  }

  #embeddings(): string {
    const { hidden, vocab, positions } = this.#shape;
    const g = this.#g;
    const table = (name: string, rows: number) =>
      this.#weight(`embeddings.${name}_embeddings.weight`, [rows, hidden]);
    g.node("Gather", ["shape", "one"], ["length1"]);
    for (const name of ["zero", "one", "length1"]) g.node("Squeeze", [name], [`${name}.scalar`]);
    g.node("Range", ["zero.scalar", "length1.scalar", "one.scalar"], ["positions"]);
    g.node("Gather", [table("word", vocab), "input_ids"], ["words"]);
    g.node("Gather", [table("position", positions), "positions"], ["places"]);
    // Every text is a first sentence.
    g.node("Gather", [this.#types(), "zero"], ["type"]);
    g.node("Add", ["words", "type"], ["typed"]);
    g.node("Add", ["typed", "places"], ["placed"]);
    g.node("Reshape", ["placed", "rows"], ["x"]);
    return this.#norm("x", "embeddings.LayerNorm");
  }

  #types(): string {
    const name = "embeddings.token_type_embeddings.weight";
    const rows = this.#tensors.get(this.#prefix + name)?.shape[0] ?? 1;
    return this.#weight(name, [rows, this.#shape.hidden]);
  }

  #layer(i: number, x: string): string {
    const { hidden, ffn } = this.#shape;
    const g = this.#g;
    const at = `encoder.layer.${i}`;
    const attended = this.#linear(
      `${at}.attention.output.dense`,
      this.#attention(at, x),
      hidden,
      hidden,
    );
    g.node("Add", [x, attended], [`${at}.sum`]);
    const middle = this.#norm(`${at}.sum`, `${at}.attention.output.LayerNorm`);
    const wide = this.#linear(`${at}.intermediate.dense`, middle, ffn, hidden);
    g.node("Gelu", [wide], [`${at}.gelu`]);
    const narrow = this.#linear(`${at}.output.dense`, `${at}.gelu`, hidden, ffn);
    g.node("Add", [middle, narrow], [`${at}.sum2`]);
    return this.#norm(`${at}.sum2`, `${at}.output.LayerNorm`);
  }

  #attention(at: string, x: string): string {
    const { hidden } = this.#shape;
    const g = this.#g;
    const heads = (part: string, perm: readonly number[]): string => {
      const y = this.#linear(`${at}.attention.self.${part}`, x, hidden, hidden);
      g.node("Reshape", [y, "by_head"], [`${y}.4`]);
      return g.node("Transpose", [`${y}.4`], [`${y}.heads`], { perm: { ints: perm } });
    };
    const back = { perm: { ints: [0, 2, 1, 3] } };
    const query = heads("query", back.perm.ints);
    const keys = heads("key", [0, 2, 3, 1]);
    const values = heads("value", back.perm.ints);
    g.node("MatMul", [query, keys], [`${at}.raw`]);
    g.node("Mul", [`${at}.raw`, "scale"], [`${at}.scores`]);
    g.node("Softmax", [`${at}.scores`], [`${at}.weights`], { axis: { i: -1 } });
    g.node("MatMul", [`${at}.weights`, values], [`${at}.mixed`]);
    g.node("Transpose", [`${at}.mixed`], [`${at}.joined`], back);
    return g.node("Reshape", [`${at}.joined`, "rows"], [`${at}.attended`]);
  }

  #linear(name: string, x: string, rows: number, cols: number): string {
    const inputs = [
      x,
      this.#weight(`${name}.weight`, [rows, cols]),
      this.#weight(`${name}.bias`, [rows]),
    ];
    return this.#g.node("Gemm", inputs, [`${name}.y`], { transB: { i: 1 } });
  }

  #norm(x: string, name: string): string {
    const parts = ["weight", "bias"].map((part) =>
      this.#weight(`${name}.${part}`, [this.#shape.hidden]),
    );
    const attributes = { axis: { i: -1 }, epsilon: { f: this.#shape.normEps } };
    return this.#g.node("LayerNormalization", [x, ...parts], [`${name}.y`], attributes);
  }

  /** A tensor of the file under its own name. */
  #weight(name: string, dims: readonly number[]): string {
    const tensor = this.#tensors.get(this.#prefix + name);
    if (tensor === undefined) throw new ContixError("EMODEL", `the weights have no ${name}`);
    const { dtype, shape, offset, length } = tensor;
    const bytes = dims.reduce((product, dim) => product * dim, 4);
    if (dtype !== "F32" || shape.join() !== dims.join() || length !== bytes) {
      const found = `${dtype} [${shape.join(", ")}]`;
      throw new ContixError("EMODEL", `${name} is ${found}, not F32 [${dims.join(", ")}]`);
    }
    this.#g.alias(name, DataType.FLOAT, dims, { offset, length });
    return name;
  }
}
