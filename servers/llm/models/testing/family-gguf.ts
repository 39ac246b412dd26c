/**
 * Tiny models of any family as GGUF files, with random weights; for tests. The metadata
 * are the test's own: what the reader makes of them must be the shape that it expects.
 */

import type { DecoderShape } from "../decoder-shape.js";
import { decoderTensors } from "../gguf/tensors.js";
import { quantizeQ8 } from "../quantize.js";
import { uniform } from "../tiny.js";
import type { WeightSource } from "../weights.js";
import type { GgufFile, WriterTensor, WriterValue } from "./gguf-writer.js";
import { permuted, tinyVocabulary } from "./llama-gguf.js";
import { pack, TYPE, type TypeName } from "./pack.js";

/** A model to be written, and what must be read back. */
export interface FamilySpec {
  readonly arch: string;
  readonly shape: DecoderShape;
  /** Metadata of the architecture beyond sizes, without its name before the key. */
  readonly entries?: Readonly<Record<string, WriterValue>>;
  /** Divisors of the rotary frequencies. */
  readonly rotaryFactors?: Float32Array;
  readonly seed?: number;
  /** The type of every matrix; vectors are F32. */
  readonly type?: TypeName;
}

/** Metadata and tensors; change what a test needs wrong before it is written. */
export async function familyFile(spec: FamilySpec): Promise<GgufFile> {
  const { shape, arch, type = "F32" } = spec;
  const source = familyWeights(spec);
  const tensors: WriterTensor[] = [];
  for (const [name, dims] of decoderTensors(shape)) {
    const [cols = 0, rows = 1] = dims;
    const values = await source.rows(name, 0, rows);
    const rotated = arch === "llama" && /attn_[qk]\.(weight|bias)/.test(name);
    const vector = dims.length === 1;
    const stored = rotated ? permuted(values, vector ? 1 : cols, shape.headDim) : values;
    const packed = vector ? "F32" : type;
    tensors.push({ name, shape: [...dims], type: TYPE[packed], data: pack(packed, stored) });
  }
  if (spec.rotaryFactors) {
    const { length } = spec.rotaryFactors;
    const data = pack("F32", spec.rotaryFactors);
    tensors.push({ name: "rope_freqs.weight", shape: [length], type: TYPE.F32, data });
  }
  return { metadata: metadata(spec), tensors };
}

/** The weights of such a file, drawn from (seed, tensor); rows in the order of the graph. */
export function familyWeights({ shape, seed = 1, rotaryFactors }: FamilySpec): WeightSource {
  const dims = decoderTensors(shape);
  const rows = async (name: string, first: number, count: number): Promise<Float32Array> => {
    const [cols = 0] = dims.get(name) ?? [];
    const draw = uniform(`${seed} ${name}`);
    for (let i = 0; i < first * cols; i++) draw();
    const { mean, spread } = distribution(name, cols, shape);
    return Float32Array.from({ length: count * cols }, () => mean + (draw() * 2 - 1) * spread);
  };
  return {
    rows,
    q8: async (...range) => quantizeQ8(await rows(...range)),
    rotaryFactors: async () => rotaryFactors,
  };
}

/** Spreads such that no part of the model drowns another. */
function distribution(name: string, cols: number, shape: DecoderShape) {
  if (name.includes("norm")) return { mean: 1, spread: 0.5 };
  if (name.endsWith(".bias")) return { mean: 0, spread: 0.5 };
  if (name === "token_embd.weight") return { mean: 0, spread: 0.5 / (shape.embeddingScale ?? 1) };
  return { mean: 0, spread: 2.5 / Math.sqrt(cols) };
}

function metadata({ arch, shape, entries = {} }: FamilySpec): Record<string, WriterValue> {
  const { tokens, merges, types } = tinyVocabulary();
  for (let id = tokens.length; id < shape.vocab; id++) {
    tokens.push(`[PAD${id}]`);
    types.push(5);
  }
  const ofArch = {
    block_count: { u32: shape.layers },
    context_length: { u32: shape.window },
    embedding_length: { u32: shape.hidden },
    feed_forward_length: { u32: shape.ffn },
    "attention.head_count": { u32: shape.heads },
    "attention.head_count_kv": { u32: shape.kvHeads },
    "attention.key_length": { u32: shape.headDim },
    "attention.value_length": { u32: shape.headDim },
    "attention.layer_norm_rms_epsilon": { f32: shape.normEps },
    "rope.freq_base": { f32: shape.ropeTheta },
    ...entries,
  };
  const prefixed = Object.entries(ofArch).map(([key, value]) => [`${arch}.${key}`, value] as const);
  return {
    "general.architecture": arch,
    ...Object.fromEntries(prefixed),
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": { texts: tokens },
    "tokenizer.ggml.token_type": { i32s: types },
    "tokenizer.ggml.merges": { texts: merges },
    "tokenizer.ggml.bos_token_id": { u32: 257 },
    "tokenizer.ggml.eos_token_id": { u32: 258 },
    "tokenizer.ggml.add_bos_token": false,
  };
}
