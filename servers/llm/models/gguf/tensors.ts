/**
 * The tensors that a decoder is made of, and the check that a file has them all, of the
 * right shape and of a type that can be read, and none that the graph would leave out.
 */
import { ContixError } from "../../../../proto/errno.js";
import { biasTensors, type DecoderShape } from "../decoder-shape.js";
import type { GgufHeader } from "./header.js";
import { GGML_TYPES, ggmlTypeName } from "./types.js";

/** Divisors of the rotary frequencies; some models have them. */
export const ROTARY_FACTORS = "rope_freqs.weight";

/**
 * Holds the file's tensors against the shape.
 * @throws ContixError EMODEL that names the tensor at fault.
 */
export function checkTensors(
  header: GgufHeader,
  shape: DecoderShape,
  options: { readonly rotaryFactors: boolean },
): void {
  const expected = decoderTensors(shape);
  if (options.rotaryFactors && header.tensors.has(ROTARY_FACTORS)) {
    expected.set(ROTARY_FACTORS, [shape.headDim / 2]);
  }
  for (const [name, wanted] of expected) checkTensor(header, name, wanted);
  for (const name of header.tensors.keys()) {
    if (!expected.has(name)) {
      throw bad(header, `has a tensor "${name}" that this architecture does not have`);
    }
  }
}

/** Names and shapes, the contiguous dimension first. */
export function decoderTensors(shape: DecoderShape): Map<string, readonly number[]> {
  const { hidden, vocab, tied, biases = [] } = shape;
  const expected = new Map<string, readonly number[]>([
    ["token_embd.weight", [hidden, vocab]],
    ["output_norm.weight", [hidden]],
  ]);
  if (!tied) expected.set("output.weight", [hidden, vocab]);
  if (biases.includes("output")) expected.set("output.bias", [vocab]);
  for (let i = 0; i < shape.layers; i++) {
    for (const [name, dims] of layerTensors(shape, i)) expected.set(name, dims);
  }
  return expected;
}

function layerTensors(shape: DecoderShape, i: number): [string, readonly number[]][] {
  const { hidden, heads, kvHeads, headDim, ffn, biases = [] } = shape;
  const matrices: Readonly<Record<string, readonly [number, number]>> = {
    attn_q: [hidden, heads * headDim],
    attn_k: [hidden, kvHeads * headDim],
    attn_v: [hidden, kvHeads * headDim],
    attn_output: [heads * headDim, hidden],
    ffn_gate: [hidden, ffn],
    ffn_up: [hidden, ffn],
    ffn_down: [ffn, hidden],
  };
  const vectors: Readonly<Record<string, number>> = {
    attn_norm: hidden,
    ffn_norm: hidden,
    ...(shape.qkNorm && { attn_q_norm: headDim, attn_k_norm: headDim }),
    ...(shape.postNorms && { post_attention_norm: hidden, post_ffw_norm: hidden }),
  };
  const weight = (name: string) => `blk.${i}.${name}.weight`;
  const ofLayer = biases.filter((bias) => bias !== "output");
  const biasNames = new Set(ofLayer.flatMap((bias) => biasTensors(bias, i)));
  return [
    ...Object.entries(vectors).map(([name, n]): [string, number[]] => [weight(name), [n]]),
    ...Object.entries(matrices).flatMap(([name, dims]): [string, readonly number[]][] => {
      const bias = `blk.${i}.${name}.bias`;
      return biasNames.has(bias)
        ? [
            [weight(name), dims],
            [bias, [dims[1]]],
          ]
        : [[weight(name), dims]];
    }),
  ];
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
  const [length = 0] = wanted;
  const same =
    tensor.shape.length === wanted.length && wanted.every((n, i) => n === tensor.shape[i]);
  if (!same) {
    const [is, should] = [tensor.shape, wanted].map((dims) => `[${dims.join(", ")}]`);
    const mismatch = name === "token_embd.weight" && tensor.shape[0] === length;
    const why = mismatch ? " (vocabulary mismatch: rows and tokens of the tokenizer differ)" : "";
    throw bad(header, `has tensor "${name}" of shape ${is} where ${should} is expected${why}`);
  }
  if (length % type.values !== 0) {
    const packed = `${type.name} packs ${type.values} values a block`;
    throw bad(header, `is damaged: tensor "${name}" has rows of ${length}, and ${packed}`);
  }
}

function bad(header: GgufHeader, what: string): ContixError {
  return new ContixError("EMODEL", `${header.path} ${what}`);
}
