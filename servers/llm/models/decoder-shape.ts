/**
 * What a decoder is made of, as numbers: the one description that the graph builder
 * takes. A family (llama, qwen3, gemma3, …) is a choice of these; what is left out is
 * as in llama.
 */
import type { Rope, RopeScaling } from "./rotary.js";

export interface DecoderShape {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Values of a head; heads * headDim need not be the hidden size. */
  readonly headDim: number;
  readonly ffn: number;
  readonly vocab: number;
  /** The most positions. */
  readonly window: number;
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling;
  readonly normEps: number;
  /** The head is the embedding matrix. */
  readonly tied: boolean;
  /** Which matrices have a bias; `qkv` is that of q, k and v. */
  readonly biases?: readonly Bias[];
  /** Each head of q and k is normalized before it is rotated. */
  readonly qkNorm?: boolean;
  /** What attention and feed-forward give is normalized before it is added. */
  readonly postNorms?: boolean;
  /** Layers that look back only a little. */
  readonly local?: LocalAttention;
  /** Of the feed-forward gate: x * sigmoid(x), or GELU by its tanh formula. */
  readonly activation?: "silu" | "gelu";
  /** What embeddings are multiplied by. */
  readonly embeddingScale?: number;
  /** What scores are multiplied by; left out, 1 / sqrt(headDim). */
  readonly attentionScale?: number;
  /** Scores, and logits, are bent into (-cap, cap): cap * tanh(x / cap). */
  readonly attentionSoftcap?: number;
  readonly logitSoftcap?: number;
}

export type Bias = "qkv" | "attn_output" | "ffn_gate" | "ffn_up" | "ffn_down" | "output";

/** Names of the tensors of a bias in layer `i`, one for each tensor of its matrix. */
export function biasTensors(bias: Bias, i: number): readonly string[] {
  if (bias === "output") return ["output.bias"];
  const parts = bias === "qkv" ? ["attn_q", "attn_k", "attn_v"] : [bias];
  return parts.map((part) => `blk.${i}.${part}.bias`);
}

export interface LocalAttention {
  /** A position sees itself and those before it, so many in all. */
  readonly window: number;
  /** Of each layer: is it local? */
  readonly layers: readonly boolean[];
  /** Local layers have rotary positions of their own, never scaled. */
  readonly ropeTheta: number;
}

/** Whether layer `i` is a local one. */
export function isLocal(shape: DecoderShape, i: number): boolean {
  return shape.local?.layers[i] ?? false;
}

/** The rotary positions of a model's ordinary layers. */
export function globalRope(shape: DecoderShape): Rope {
  const { ropeTheta: theta, headDim, window, ropeScaling: scaling } = shape;
  return { theta, headDim, window, ...(scaling && { scaling }) };
}

/** The rotary positions of a model's local layers. */
export function localRope({ headDim, window }: DecoderShape, local: LocalAttention): Rope {
  return { theta: local.ropeTheta, headDim, window };
}
