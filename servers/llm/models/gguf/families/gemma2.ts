/** Gemma 2: norms before the sums, every other layer local, scores and logits capped. */
import type { Family } from "./family.js";
import { attentionScale, gemmaFeatures } from "./gemma.js";
import { localLayers } from "./local-layers.js";

export const GEMMA2: Family = {
  arch: "gemma2",
  interleaved: false,
  rotaryFactors: false,
  biases: [],
  features: (keys, base) => ({
    ...gemmaFeatures(base),
    ...attentionScale(base, 46),
    postNorms: true,
    local: {
      window: keys.size("attention.sliding_window", 4096),
      layers: localLayers(keys, base.layers, 2),
      ropeTheta: keys.ropeBase("rope.freq_base_swa", base.ropeTheta),
    },
    attentionSoftcap: keys.number("attn_logit_softcapping", 50),
    logitSoftcap: keys.number("final_logit_softcapping", 30),
  }),
};
