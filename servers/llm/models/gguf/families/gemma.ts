/**
 * Gemma: embeddings scaled by the root of their size, GELU. The converter has already
 * added the 1 that Gemma's norms add to their weights.
 */
import type { DecoderShape } from "../../decoder-shape.js";
import type { Family } from "./family.js";

export const GEMMA: Family = {
  arch: "gemma",
  interleaved: false,
  rotaryFactors: false,
  biases: [],
  features: (_, base) => gemmaFeatures(base),
};

/** What all of them have. */
export function gemmaFeatures({ hidden }: DecoderShape): Partial<DecoderShape> {
  return { activation: "gelu", embeddingScale: Math.sqrt(hidden) };
}

/**
 * Models of so many layers are the 27B ones, which scale scores by hidden size over
 * heads, not by head size. No metadata says so: llama.cpp goes by the layers too.
 */
export function attentionScale(
  { layers, hidden, heads }: DecoderShape,
  layersOf27B: number,
): Partial<DecoderShape> {
  return layers === layersOf27B ? { attentionScale: 1 / Math.sqrt(hidden / heads) } : {};
}
