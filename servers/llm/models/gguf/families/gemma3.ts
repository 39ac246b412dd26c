/**
 * Gemma 3 (text): norms of heads and norms before the sums; five of six layers are local,
 * with rotary positions of their own.
 */
import type { DecoderShape } from "../../decoder-shape.js";
import type { ArchMetadata } from "./arch-metadata.js";
import type { Family } from "./family.js";
import { attentionScale, gemmaFeatures } from "./gemma.js";
import { localLayers } from "./local-layers.js";

export const GEMMA3: Family = {
  arch: "gemma3",
  interleaved: false,
  rotaryFactors: false,
  biases: [],
  features: (keys, base) => ({
    ...gemmaFeatures(base),
    ...attentionScale(base, 62),
    ...(keys.has("attention.sliding_window") && { local: local(keys, base) }),
    ...cap(keys),
    qkNorm: true,
    postNorms: true,
  }),
};

function local(keys: ArchMetadata, { layers }: DecoderShape) {
  return {
    window: keys.size("attention.sliding_window"),
    layers: localLayers(keys, layers, 6),
    ropeTheta: keys.ropeBase("rope.freq_base_swa", 10_000),
  };
}

function cap(keys: ArchMetadata): Partial<DecoderShape> {
  const logitSoftcap = keys.optional("final_logit_softcapping");
  return logitSoftcap === undefined ? {} : { logitSoftcap };
}
