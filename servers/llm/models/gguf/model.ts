/**
 * What a GGUF file's head says of a llama-family model: its shape, and that every
 * tensor of the graph is there, of the right shape and of a type that can be read,
 * and that there is none that the graph would leave out.
 */
import { ContixError } from "../../../../proto/errno.js";
import type { DecoderShape } from "../decoder-shape.js";
import { Q8_BLOCK } from "../graph-weights.js";
import type { GgufHeader } from "./header.js";
import { Metadata } from "./metadata.js";
import { GGML_TYPES, ggmlTypeName } from "./types.js";

/** Architectures whose graph is this one, by `general.architecture`. */
const ARCHITECTURES: ReadonlySet<string> = new Set(["llama"]);

/** Divisors of the rotary frequencies; some models have them. */
export const ROTARY_FACTORS = "rope_freqs.weight";

/** Attention heads are taken in vectors of this many. */
const HEAD_UNIT = 16;

/**
 * The shape of the model, checked against its tensors.
 * @throws ContixError EMODEL that names the entry or the tensor at fault.
 */
export function llamaShape(header: GgufHeader): DecoderShape {
  const shape = shapeOf(header);
  checkTensors(header, shape);
  return shape;
}

/** `general.architecture`, which must be one that is known. */
export function architecture(header: GgufHeader): string {
  const arch = new Metadata(header).text("general.architecture");
  if (!ARCHITECTURES.has(arch)) {
    const known = [...ARCHITECTURES].join(", ");
    throw bad(header, `has the architecture "${arch}"; those that can be read: ${known}`);
  }
  return arch;
}

function shapeOf(header: GgufHeader): DecoderShape {
  const arch = architecture(header);
  const meta = new Metadata(header);
  const count = (key: string, fallback?: number) => meta.count(`${arch}.${key}`, fallback);
  refuseVariants(header, meta, arch);
  const hidden = count("embedding_length");
  const heads = count("attention.head_count");
  const headDim = count("attention.key_length", hidden / heads);
  const shape: DecoderShape = {
    layers: count("block_count"),
    hidden,
    heads,
    kvHeads: count("attention.head_count_kv", heads),
    headDim,
    ffn: count("feed_forward_length"),
    vocab: meta.list("tokenizer.ggml.tokens").length,
    window: count("context_length"),
    ropeTheta: meta.number(`${arch}.rope.freq_base`, 10_000),
    normEps: meta.number(`${arch}.attention.layer_norm_rms_epsilon`),
    tied: !header.tensors.has("output.weight"),
  };
  checkNumbers(header, shape);
  for (const key of ["rope.dimension_count", "attention.value_length"]) {
    const value = count(key, headDim);
    if (value !== headDim) {
      throw bad(header, `has ${arch}.${key} ${value}; only ${headDim}, a whole head, can be read`);
    }
  }
  const vocab = count("vocab_size", shape.vocab);
  if (vocab !== shape.vocab) {
    throw bad(header, `says ${vocab} tokens of vocabulary, and its tokenizer has ${shape.vocab}`);
  }
  return shape;
}

/** Variants of the architecture that this graph would compute wrongly. */
function refuseVariants(header: GgufHeader, meta: Metadata, arch: string): void {
  if (meta.count(`${arch}.expert_count`, 0) > 0) {
    throw bad(header, `has ${arch}.expert_count: a mixture of experts can not be read`);
  }
  const scaling = meta.text(`${arch}.rope.scaling.type`, "none");
  if (scaling !== "none") {
    throw bad(header, `has ${arch}.rope.scaling.type "${scaling}", which can not be read`);
  }
}

function checkNumbers(header: GgufHeader, shape: DecoderShape): void {
  const { hidden, ffn, heads, kvHeads, headDim } = shape;
  const rules: readonly (readonly [boolean, string])[] = [
    [
      Number.isInteger(headDim) && headDim % HEAD_UNIT === 0,
      `head size ${headDim} (not a multiple of ${HEAD_UNIT})`,
    ],
    [heads % kvHeads === 0, `${heads} heads over ${kvHeads} key heads`],
    [hidden % Q8_BLOCK === 0, `hidden size ${hidden} (not a multiple of ${Q8_BLOCK})`],
    [ffn % Q8_BLOCK === 0, `feed-forward size ${ffn} (not a multiple of ${Q8_BLOCK})`],
  ];
  for (const [holds, what] of rules)
    if (!holds) throw bad(header, `has an unusable shape: ${what}`);
}

function checkTensors(header: GgufHeader, shape: DecoderShape): void {
  const expected = expectedTensors(shape);
  for (const [name, wanted] of expected) checkTensor(header, name, wanted);
  const factors = header.tensors.get(ROTARY_FACTORS);
  if (factors) checkTensor(header, ROTARY_FACTORS, [shape.headDim / 2]);
  for (const name of header.tensors.keys()) {
    if (!expected.has(name) && name !== ROTARY_FACTORS) {
      throw bad(header, `has a tensor "${name}" that this architecture does not have`);
    }
  }
}

function checkTensor(header: GgufHeader, name: string, wanted: readonly number[]): void {
  const tensor = header.tensors.get(name);
  if (!tensor) throw bad(header, `has no tensor "${name}"`);
  const type = GGML_TYPES.get(tensor.type);
  if (!type) {
    const known = [...GGML_TYPES.values()].map((row) => row.name).join(", ");
    const is = `is of type ${ggmlTypeName(tensor.type)}`;
    throw bad(header, `can not be read: tensor "${name}" ${is}; known are ${known}`);
  }
  const same =
    tensor.shape.length === wanted.length && wanted.every((n, i) => n === tensor.shape[i]);
  if (!same) {
    const [is, should] = [tensor.shape, wanted].map((dims) => `[${dims.join(", ")}]`);
    const mismatch = name === "token_embd.weight" && tensor.shape[0] === shape0(wanted);
    const why = mismatch ? " (vocabulary mismatch: rows and tokens of the tokenizer differ)" : "";
    throw bad(header, `has tensor "${name}" of shape ${is} where ${should} is expected${why}`);
  }
  if (shape0(wanted) % type.values !== 0) {
    const packed = `${type.name} packs ${type.values} values a block`;
    throw bad(header, `is damaged: tensor "${name}" has rows of ${shape0(wanted)}, and ${packed}`);
  }
}

function shape0(shape: readonly number[]): number {
  return shape[0] ?? 0;
}

/** Names and shapes, the contiguous dimension first. */
function expectedTensors(shape: DecoderShape): Map<string, readonly number[]> {
  const { layers, hidden, heads, kvHeads, headDim, ffn, vocab, tied } = shape;
  const expected = new Map<string, readonly number[]>([
    ["token_embd.weight", [hidden, vocab]],
    ["output_norm.weight", [hidden]],
  ]);
  if (!tied) expected.set("output.weight", [hidden, vocab]);
  const layer: Readonly<Record<string, readonly number[]>> = {
    attn_norm: [hidden],
    attn_q: [hidden, heads * headDim],
    attn_k: [hidden, kvHeads * headDim],
    attn_v: [hidden, kvHeads * headDim],
    attn_output: [heads * headDim, hidden],
    ffn_norm: [hidden],
    ffn_gate: [hidden, ffn],
    ffn_up: [hidden, ffn],
    ffn_down: [ffn, hidden],
  };
  for (let i = 0; i < layers; i++) {
    for (const [name, dims] of Object.entries(layer)) expected.set(`blk.${i}.${name}.weight`, dims);
  }
  return expected;
}

function bad(header: GgufHeader, what: string): ContixError {
  return new ContixError("EMODEL", `${header.path} ${what}`);
}
