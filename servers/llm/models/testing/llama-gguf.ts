/** The tiny model as a GGUF file, as llama.cpp's converter would write it; for tests. */
import type { DecoderShape } from "../decoder-shape.js";
import { TINY_SHAPE, tinyInput } from "../tiny.js";
import type { WeightSource } from "../weights.js";
import type { GgufFile, WriterTensor, WriterValue } from "./gguf-writer.js";
import { pack, TYPE, type TypeName } from "./pack.js";

/** A window that keeps the compiled model small. */
export const SMALL_SHAPE: DecoderShape = { ...TINY_SHAPE, window: 256 };

export interface LlamaFileOptions {
  readonly seed?: number;
  /** The type of every matrix; norms are F32. */
  readonly type?: TypeName;
}

/** Metadata and tensors; change what a test needs wrong before it is written. */
export async function llamaFile(options: LlamaFileOptions = {}): Promise<GgufFile> {
  const { seed = 1, type = "F32" } = options;
  const { source } = tinyInput({ seed });
  const tensors: WriterTensor[] = [];
  for (const [name, shape] of tensorShapes()) {
    const [cols = 0, rows = 1] = shape;
    const values = await source.rows(name, 0, rows);
    const stored = /attn_[qk]\./.test(name) ? permuted(values, cols, SMALL_SHAPE.headDim) : values;
    const packed: TypeName = shape.length === 1 ? "F32" : type;
    tensors.push({ name, shape, type: TYPE[packed], data: pack(packed, stored) });
  }
  return { metadata: llamaMetadata(), tensors };
}

/** The weights that `llamaFile` puts into the file. */
export function llamaWeights(seed = 1): WeightSource {
  return tinyInput({ seed }).source;
}

function tensorShapes(): [string, number[]][] {
  const { layers, hidden, heads, kvHeads, headDim, ffn, vocab } = SMALL_SHAPE;
  const shapes: [string, number[]][] = [
    ["token_embd.weight", [hidden, vocab]],
    ["output_norm.weight", [hidden]],
  ];
  for (let i = 0; i < layers; i++) {
    shapes.push(
      [`blk.${i}.attn_norm.weight`, [hidden]],
      [`blk.${i}.attn_q.weight`, [hidden, heads * headDim]],
      [`blk.${i}.attn_k.weight`, [hidden, kvHeads * headDim]],
      [`blk.${i}.attn_v.weight`, [hidden, kvHeads * headDim]],
      [`blk.${i}.attn_output.weight`, [heads * headDim, hidden]],
      [`blk.${i}.ffn_norm.weight`, [hidden]],
      [`blk.${i}.ffn_gate.weight`, [hidden, ffn]],
      [`blk.${i}.ffn_up.weight`, [hidden, ffn]],
      [`blk.${i}.ffn_down.weight`, [ffn, hidden]],
    );
  }
  return shapes;
}

/** As convert_hf_to_gguf.py permutes q and k: [head, 2, d/2] rows become [head, d/2, 2]. */
export function permuted(values: Float32Array, cols: number, d: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < values.length / cols; row++) {
    const within = row % d;
    const to = row - within + 2 * (within % (d / 2)) + Math.floor(within / (d / 2));
    out.set(values.subarray(row * cols, (row + 1) * cols), to * cols);
  }
  return out;
}

function llamaMetadata(): Record<string, WriterValue> {
  const { tokens, merges, types } = tinyVocabulary();
  return {
    "general.architecture": "llama",
    "general.license": "cc0-1.0",
    "llama.block_count": { u32: SMALL_SHAPE.layers },
    "llama.context_length": { u32: SMALL_SHAPE.window },
    "llama.embedding_length": { u32: SMALL_SHAPE.hidden },
    "llama.feed_forward_length": { u32: SMALL_SHAPE.ffn },
    "llama.attention.head_count": { u32: SMALL_SHAPE.heads },
    "llama.attention.head_count_kv": { u32: SMALL_SHAPE.kvHeads },
    "llama.attention.layer_norm_rms_epsilon": { f32: SMALL_SHAPE.normEps },
    "llama.rope.freq_base": { f32: SMALL_SHAPE.ropeTheta },
    "llama.rope.dimension_count": { u32: SMALL_SHAPE.headDim },
    "llama.vocab_size": { u32: SMALL_SHAPE.vocab },
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": { texts: tokens },
    "tokenizer.ggml.token_type": { i32s: types },
    "tokenizer.ggml.merges": { texts: merges },
    "tokenizer.ggml.bos_token_id": { u32: 257 },
    "tokenizer.ggml.eos_token_id": { u32: 258 },
    "tokenizer.ggml.add_bos_token": false,
    "tokenizer.chat_template": tinyInput().text.chatTemplate ?? "",
  };
}

/** The vocabulary of the tiny model as GGUF has it. */
export function tinyVocabulary(): { tokens: string[]; merges: string[]; types: number[] } {
  const tokenizer = tinyInput().text.tokenizer as {
    added_tokens: { id: number; content: string }[];
    model: { vocab: Record<string, number>; merges: [string, string][] };
  };
  // By id: an object lists its keys that are digits first.
  const byId = Object.entries(tokenizer.model.vocab).sort(([, a], [, b]) => a - b);
  const tokens = byId.map(([token]) => token);
  const special = new Set(tokenizer.added_tokens.map(({ id }) => id));
  return {
    tokens,
    merges: tokenizer.model.merges.map((pair) => pair.join(" ")),
    types: tokens.map((_, id) => (special.has(id) ? 3 : 1)),
  };
}
