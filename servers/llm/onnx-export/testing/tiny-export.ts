/**
 * The tiny model as an ONNX export, laid out as Optimum and onnx-community do: directory,
 * names, and the operators that such graphs are made of; for tests.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DataType, GraphBuilder, MICROSOFT, type Region } from "../../models/graph-nodes.js";
import { rotaryTable } from "../../models/rotary.js";
import { SMALL_SHAPE } from "../../models/testing/llama-gguf.js";
import { tinyInput } from "../../models/tiny.js";

export interface TinyExportOptions {
  readonly kv?: "fp32" | "fp16";
  /** GroupQueryAttention, as onnx-community's newer exports have it; else plain operators. */
  readonly grouped?: boolean;
  /** It has the input position_ids. */
  readonly positions?: boolean;
  /** It has the input use_cache_branch. */
  readonly merged?: boolean;
  /** It has the input num_logits_to_keep. */
  readonly keep?: boolean;
  /** Activations are quantized by one scale for all tokens of a run. */
  readonly runWide?: "operator" | "plain";
  /** What a run gives depends a little on how many tokens there are, past and new. */
  readonly byLength?: boolean;
  /** Where the graph says that its weights lie. */
  readonly location?: string;
  /** What config.json says of the longest context, tokens. */
  readonly window?: number;
  /** The graph's name in the directory. */
  readonly file?: string;
}

const { layers, hidden, heads, kvHeads, headDim, ffn, vocab, window, normEps } = SMALL_SHAPE;
const EVERYTHING = 2 ** 62;

/** Writes the export, with the tiny model's tokenizer, into `dir`. */
export async function tinyExport(dir: string, options: TinyExportOptions = {}): Promise<void> {
  const { location = "model.onnx_data", file = "onnx/model.onnx" } = options;
  const builder = new ExportBuilder(options, location);
  const graph = builder.build();
  await mkdir(join(dir, file, ".."), { recursive: true });
  await writeFile(join(dir, file), graph);
  await writeFile(join(dir, file, "..", "model.onnx_data"), await builder.weights());
  const { tokenizer, chatTemplate } = tinyInput().text;
  const files = {
    "tokenizer.json": tokenizer,
    "tokenizer_config.json": {
      bos_token: "<|im_start|>",
      eos_token: { content: "<|im_end|>" },
      chat_template: chatTemplate,
    },
    "generation_config.json": { eos_token_id: [256], bos_token_id: 256 },
    "config.json": {
      model_type: "llama",
      vocab_size: vocab,
      hidden_size: hidden,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
      max_position_embeddings: options.window ?? window,
      eos_token_id: 3,
    },
  };
  for (const [name, json] of Object.entries(files)) {
    await writeFile(join(dir, name), JSON.stringify(json));
  }
  await writeFile(join(dir, "README.md"), "---\nlicense: cc0-1.0\n---\n# Tiny\n");
}

class ExportBuilder {
  readonly #g: GraphBuilder;
  readonly #options: TinyExportOptions;
  readonly #writes: { region: Region; values: () => Promise<Float32Array> | Float32Array }[] = [];
  readonly #kv: DataType;

  constructor(options: TinyExportOptions, location: string) {
    this.#g = new GraphBuilder("main_graph", location);
    this.#options = options;
    this.#kv = options.kv === "fp16" ? DataType.FLOAT16 : DataType.FLOAT;
  }

  build(): Uint8Array {
    const g = this.#g;
    this.#inputs();
    this.#constants();
    this.#positions();
    g.node("Reshape", ["input_ids", "flat"], ["ids"]);
    let x = g.node("Gather", [this.#matrix("token_embd.weight", vocab, hidden), "ids"], ["x"]);
    if (this.#options.byLength) {
      g.node("Cast", ["total0"], ["tokens"], { to: { i: DataType.FLOAT } });
      g.node("Mul", ["tokens", "slight"], ["slightly"]);
      g.node("Add", ["unit", "slightly"], ["length_factor"]);
      x = g.node("Mul", [x, "length_factor"], ["x_by_length"]);
    }
    for (let i = 0; i < layers; i++) {
      x = g.node(
        "Add",
        [x, this.#attention(i, this.#norm(x, `blk.${i}.attn_norm.weight`))],
        [`a${i}`],
      );
      x = g.node("Add", [x, this.#mlp(i, this.#norm(x, `blk.${i}.ffn_norm.weight`))], [`m${i}`]);
    }
    let last = this.#norm(x, "output_norm.weight");
    if (this.#options.keep) {
      g.node("Reshape", ["num_logits_to_keep", "flat"], ["keep"]);
      g.node("Neg", ["keep"], ["keep_from"]);
      last = g.node("Slice", [last, "keep_from", "everything", "zero"], ["kept"]);
    }
    g.node("Gemm", [last, "token_embd.weight", ""], ["logits2"], { transB: { i: 1 } });
    g.node("Unsqueeze", ["logits2", "zero"], ["logits"]);
    g.output("logits", DataType.FLOAT, ["batch_size", "sequence_length", vocab]);
    return g.encode("1");
  }

  /** The bytes of the weights' file. */
  async weights(): Promise<Uint8Array> {
    const bytes = Buffer.alloc(this.#g.externalBytes);
    for (const { region, values } of this.#writes) {
      const floats = await values();
      bytes.set(new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength), region.offset);
    }
    return bytes;
  }

  #inputs(): void {
    const { positions, merged, keep } = this.#options;
    const g = this.#g;
    const total = "past_sequence_length + sequence_length";
    g.input("input_ids", DataType.INT64, ["batch_size", "sequence_length"]);
    g.input("attention_mask", DataType.INT64, ["batch_size", total]);
    if (positions) g.input("position_ids", DataType.INT64, ["batch_size", "sequence_length"]);
    if (merged) g.input("use_cache_branch", DataType.BOOL, [1]);
    if (keep) g.input("num_logits_to_keep", DataType.INT64, []);
    for (let i = 0; i < layers; i++) {
      for (const part of ["key", "value"]) {
        const dims = ["batch_size", kvHeads, "past_sequence_length", headDim];
        g.input(`past_key_values.${i}.${part}`, this.#kv, dims);
        g.output(`present.${i}.${part}`, this.#kv, ["batch_size", kvHeads, total, headDim]);
      }
    }
  }

  #constants(): void {
    const g = this.#g;
    if (this.#options.merged)
      g.node("Cast", ["use_cache_branch"], ["branch"], { to: { i: this.#kv } });
    for (const [name, values] of Object.entries({
      flat: [-1],
      zero: [0],
      one: [1],
      everything: [EVERYTHING],
      column: [-1, 1],
      token_heads: [1, -1, heads, headDim],
      token_kv_heads: [1, -1, kvHeads, headDim],
      grouped_queries: [kvHeads, heads / kvHeads, -1, headDim],
      grouped_keys: [kvHeads, 1, -1, headDim],
      ungrouped: [1, heads, -1, headDim],
      rows: [-1, heads * headDim],
    })) {
      g.int64(name, values);
    }
    const rope = { window, headDim, theta: SMALL_SHAPE.ropeTheta };
    for (const part of ["cos", "sin"] as const) {
      this.#constant(part, [window, headDim / 2], rotaryTable(rope, part));
    }
    this.#constant("scale", [1], Float32Array.of(1 / Math.sqrt(headDim)));
    this.#constant("never", [1], Float32Array.of(-3.4e38));
    this.#constant("unit", [1], Float32Array.of(1));
    this.#constant("slight", [1], Float32Array.of(1e-6));
    this.#constant("levels", [1], Float32Array.of(127));
  }

  /** Positions of the run's tokens [S, 1] and of all before and among them [1, T]. */
  #positions(): void {
    const g = this.#g;
    g.node("Shape", ["attention_mask"], ["mask_shape"]);
    g.node("Gather", ["mask_shape", "one"], ["total"]);
    g.node("Shape", ["input_ids"], ["ids_shape"]);
    g.node("Gather", ["ids_shape", "one"], ["new"]);
    g.node("Sub", ["total", "new"], ["past"]);
    for (const name of ["total", "past", "zero", "one"]) g.node("Squeeze", [name], [`${name}0`]);
    g.node("Range", ["zero0", "total0", "one0"], ["key_positions"]);
    g.node("Range", ["past0", "total0", "one0"], ["counted"]);
    g.node("Unsqueeze", ["counted", "zero"], ["counted2"]);
    const positions = this.#options.positions ? "position_ids" : "counted2";
    g.node("Identity", [positions], ["positions"]);
    g.node("Reshape", ["positions", "column"], ["query_positions"]);
    g.node("LessOrEqual", ["key_positions", "query_positions"], ["visible"]);
    g.node("ReduceSum", ["attention_mask", "one"], ["lengths"], { keepdims: { i: 0 } });
    g.node("Sub", ["lengths", "one"], ["lasts"]);
    g.node("Cast", ["lasts"], ["seqlens_k"], { to: { i: DataType.INT32 } });
    g.node("Cast", ["total0"], ["total_len"], { to: { i: DataType.INT32 } });
  }

  #attention(i: number, normed: string): string {
    const g = this.#g;
    const [q, k, v] = ["q", "k", "v"].map((part) =>
      this.#linear(
        normed,
        `blk.${i}.attn_${part}.weight`,
        part === "q" ? heads * headDim : kvHeads * headDim,
        hidden,
      ),
    );
    const of = this.#options.grouped ? this.#groupQuery : this.#plain;
    const attended = of.call(this, i, [q ?? "", k ?? "", v ?? ""]);
    g.node("Reshape", [attended, "rows"], [`${i}.attended`]);
    return this.#linear(`${i}.attended`, `blk.${i}.attn_output.weight`, hidden, heads * headDim);
  }

  #groupQuery(i: number, parts: readonly string[]): string {
    const g = this.#g;
    const qkv = parts.map((part) => g.node("Unsqueeze", [part, "zero"], [`${part}.3`]));
    const past = ["key", "value"].map((part) => `past_key_values.${i}.${part}`);
    const inputs = [...qkv, ...past, "seqlens_k", "total_len", "cos", "sin"];
    const outputs = [`${i}.gqa`, `present.${i}.key`, `present.${i}.value`] as const;
    const attributes = {
      num_heads: { i: heads },
      kv_num_heads: { i: kvHeads },
      do_rotary: { i: 1 },
    };
    return g.node("GroupQueryAttention", inputs, outputs, attributes, MICROSOFT);
  }

  #plain(i: number, [q = "", k = "", v = ""]: readonly string[]): string {
    const g = this.#g;
    const perm = { perm: { ints: [0, 2, 1, 3] } };
    const split = (x: string, shape: string): string => {
      g.node("Reshape", [x, shape], [`${x}.4`]);
      return g.node("Transpose", [`${x}.4`], [`${x}.heads`], perm);
    };
    const rotate = (x: string): string =>
      g.node("RotaryEmbedding", [x, "positions", "cos", "sin"], [`${x}.rotated`], {}, MICROSOFT);
    const query = rotate(split(q, "token_heads"));
    const keys = this.#joined(`${i}.key`, rotate(split(k, "token_kv_heads")));
    const values = this.#joined(`${i}.value`, split(v, "token_kv_heads"));
    g.node("Reshape", [query, "grouped_queries"], [`${i}.q`]);
    g.node("Reshape", [keys, "grouped_keys"], [`${i}.k`]);
    g.node("Reshape", [values, "grouped_keys"], [`${i}.v`]);
    g.node("Transpose", [`${i}.k`], [`${i}.kt`], { perm: { ints: [0, 1, 3, 2] } });
    g.node("MatMul", [`${i}.q`, `${i}.kt`], [`${i}.raw`]);
    g.node("Mul", [`${i}.raw`, "scale"], [`${i}.scores`]);
    g.node("Where", ["visible", `${i}.scores`, "never"], [`${i}.seen`]);
    g.node("Softmax", [`${i}.seen`], [`${i}.weights`], { axis: { i: -1 } });
    g.node("MatMul", [`${i}.weights`, `${i}.v`], [`${i}.sum`]);
    g.node("Reshape", [`${i}.sum`, "ungrouped"], [`${i}.sums`]);
    return g.node("Transpose", [`${i}.sums`], [`${i}.out`], perm);
  }

  /** Past and new: the present, in its own type; returned as floats. */
  #joined(name: string, fresh: string): string {
    const g = this.#g;
    const cast = (x: string, type: DataType): string =>
      g.node("Cast", [x], [`${x}.${DataType[type]}`], { to: { i: type } });
    let past = `past_key_values.${name}`;
    // Without the cache's branch the past is not looked at.
    if (this.#options.merged) past = g.node("Mul", [past, "branch"], [`${name}.branch`]);
    g.node("Concat", [past, cast(fresh, this.#kv)], [`present.${name}`], { axis: { i: 2 } });
    return cast(`present.${name}`, DataType.FLOAT);
  }

  #mlp(i: number, normed: string): string {
    const g = this.#g;
    const gate = this.#linear(normed, `blk.${i}.ffn_gate.weight`, ffn, hidden);
    const up = this.#linear(normed, `blk.${i}.ffn_up.weight`, ffn, hidden);
    g.node("Sigmoid", [gate], [`${i}.sigmoid`]);
    g.node("Mul", [gate, `${i}.sigmoid`], [`${i}.silu`]);
    g.node("Mul", [`${i}.silu`, up], [`${i}.gated`]);
    return this.#linear(`${i}.gated`, `blk.${i}.ffn_down.weight`, hidden, ffn);
  }

  #norm(x: string, gamma: string): string {
    const weight = this.#matrix(gamma, 1, hidden, [hidden]);
    const attributes = { axis: { i: -1 }, epsilon: { f: normEps } };
    return this.#g.node("SimplifiedLayerNormalization", [x, weight], [`${gamma}.y`], attributes);
  }

  #linear(x: string, name: string, rows: number, cols: number): string {
    const input = this.#quantized(x, name);
    const inputs = [input, this.#matrix(name, rows, cols)];
    return this.#g.node("Gemm", inputs, [`${name}.y`], { transB: { i: 1 } });
  }

  /** `x`, or what is left of it after one scale for the whole run. */
  #quantized(x: string, name: string): string {
    const g = this.#g;
    if (this.#options.runWide === undefined) return x;
    if (this.#options.runWide === "operator") {
      const parts = [`${name}.x8`, `${name}.scale`, `${name}.zero`] as const;
      g.node("DynamicQuantizeLinear", [x], parts);
      return g.node("DequantizeLinear", parts, [`${name}.x`]);
    }
    g.node("Abs", [x], [`${name}.abs`]);
    g.node("ReduceMax", [`${name}.abs`], [`${name}.max`]);
    g.node("Div", [`${name}.max`, "levels"], [`${name}.step`]);
    g.node("Div", [x, `${name}.step`], [`${name}.level`]);
    g.node("Round", [`${name}.level`], [`${name}.round`]);
    return g.node("Mul", [`${name}.round`, `${name}.step`], [`${name}.x`]);
  }

  /** A tensor of the tiny model, under its own name. */
  #matrix(name: string, rows: number, cols: number, dims = [rows, cols]): string {
    const region = this.#g.weight(name, DataType.FLOAT, dims);
    this.#writes.push({ region, values: () => tinyInput().source.rows(name, 0, rows) });
    return name;
  }

  #constant(name: string, dims: readonly number[], values: Float32Array): void {
    const region = this.#g.weight(name, DataType.FLOAT, dims);
    this.#writes.push({ region, values: () => values });
  }
}
