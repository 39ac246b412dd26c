/** Tiny models, one for each family and feature; the names say what each is for. */
import type { DecoderShape } from "../decoder-shape.js";
import type { FamilySpec } from "./family-gguf.js";

const BASE: DecoderShape = {
  layers: 2,
  hidden: 128,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  ffn: 192,
  vocab: 512,
  window: 256,
  ropeTheta: 10_000,
  normEps: Math.fround(1e-5),
  tied: true,
};

const LLAMA: FamilySpec = { arch: "llama", shape: BASE };
const QWEN2: FamilySpec = {
  arch: "qwen2",
  shape: { ...BASE, ropeTheta: 1e6, biases: ["qkv"] },
};
const QWEN3: FamilySpec = {
  arch: "qwen3",
  shape: { ...BASE, headDim: 64, ropeTheta: 1e6, qkNorm: true },
};

const GEMMA_SHAPE: DecoderShape = {
  ...BASE,
  headDim: 48,
  kvHeads: 1,
  normEps: Math.fround(1e-6),
  activation: "gelu",
  embeddingScale: Math.sqrt(BASE.hidden),
};
const GEMMA: FamilySpec = { arch: "gemma", shape: GEMMA_SHAPE };
const GEMMA2: FamilySpec = {
  arch: "gemma2",
  shape: {
    ...GEMMA_SHAPE,
    postNorms: true,
    local: { window: 7, layers: [true, false], ropeTheta: 10_000 },
    attentionSoftcap: 2,
    logitSoftcap: 1,
  },
  entries: {
    "attention.sliding_window": { u32: 7 },
    attn_logit_softcapping: { f32: 2 },
    final_logit_softcapping: { f32: 1 },
  },
};
const GEMMA3: FamilySpec = {
  arch: "gemma3",
  shape: {
    ...GEMMA_SHAPE,
    layers: 7,
    ropeTheta: 1e6,
    qkNorm: true,
    postNorms: true,
    local: {
      window: 9,
      layers: [true, true, true, true, true, false, true],
      ropeTheta: 10_000,
    },
  },
  entries: { "attention.sliding_window": { u32: 9 } },
};

/** `spec` with other numbers and other entries. */
function but(
  spec: FamilySpec,
  shape: Partial<DecoderShape>,
  entries: FamilySpec["entries"] = {},
): FamilySpec {
  return {
    ...spec,
    shape: { ...spec.shape, ...shape },
    entries: { ...spec.entries, ...entries },
  };
}

const ROTARY_FACTORS = Float32Array.from({ length: 16 }, (_, i) => (i < 6 ? 1 : i < 10 ? 2.5 : 8));

/** Every spec, by name. */
export const FAMILY_SPECS: Readonly<Record<string, FamilySpec>> = {
  llama: LLAMA,
  "llama, untied, as many key heads as heads": but(LLAMA, { tied: false, kvHeads: 4 }),
  "llama, biases everywhere": but(LLAMA, {
    biases: ["qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
  }),
  "llama, heads larger than hidden / heads": but(LLAMA, { headDim: 80, heads: 6, kvHeads: 3 }),
  "llama, padded vocabulary": but(LLAMA, { vocab: 523 }),
  "llama, llama 3 rotary factors": { ...LLAMA, rotaryFactors: ROTARY_FACTORS },
  "llama, linear scaling": but(
    LLAMA,
    { ropeScaling: { type: "linear", factor: 4, magnitude: 1 } },
    { "rope.scaling.type": "linear", "rope.scaling.factor": { f32: 4 } },
  ),
  qwen2: QWEN2,
  "qwen2, untied, biased head, no bias of q, k and v": but(QWEN2, {
    tied: false,
    biases: ["output"],
  }),
  "qwen2, yarn": but(
    QWEN2,
    {
      ropeScaling: {
        type: "yarn",
        factor: 4,
        magnitude: 1,
        originalWindow: 64,
        betaFast: 32,
        betaSlow: 1,
      },
    },
    {
      "rope.scaling.type": "yarn",
      "rope.scaling.factor": { f32: 4 },
      "rope.scaling.original_context_length": { u32: 64 },
    },
  ),
  qwen3: QWEN3,
  "qwen3, small heads": but(QWEN3, { headDim: 16 }),
  "qwen3, large heads, untied": but(QWEN3, { headDim: 128, tied: false }),
  gemma: GEMMA,
  gemma2: GEMMA2,
  "gemma2, 27B": but(GEMMA2, {
    layers: 46,
    hidden: 64,
    ffn: 64,
    embeddingScale: Math.sqrt(64),
    attentionScale: 1 / Math.sqrt(64 / GEMMA_SHAPE.heads),
    local: {
      window: 7,
      layers: Array.from({ length: 46 }, (_, i) => i % 2 === 0),
      ropeTheta: 10_000,
    },
  }),
  gemma3: GEMMA3,
  "gemma3, 27B": but(GEMMA3, {
    layers: 62,
    hidden: 64,
    ffn: 64,
    embeddingScale: Math.sqrt(64),
    attentionScale: 1 / Math.sqrt(64 / GEMMA_SHAPE.heads),
    local: {
      window: 9,
      layers: Array.from({ length: 62 }, (_, i) => i % 6 < 5),
      ropeTheta: 10_000,
    },
  }),
  "gemma3, listed pattern, scaled, capped, large heads": but(
    GEMMA3,
    {
      layers: 3,
      headDim: 256,
      ropeScaling: { type: "linear", factor: 8, magnitude: 1 },
      local: { window: 4, layers: [true, false, true], ropeTheta: 500 },
      logitSoftcap: 1.5,
    },
    {
      "attention.sliding_window": { u32: 4 },
      "attention.sliding_window_pattern": { flags: [true, false, true] },
      "rope.freq_base_swa": { f32: 500 },
      "rope.scaling.type": "linear",
      "rope.scaling.factor": { f32: 8 },
      final_logit_softcapping: { f32: 1.5 },
    },
  ),
};
