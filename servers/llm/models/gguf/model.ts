/**
 * What a GGUF file's head says of a decoder: its family and its shape, checked against
 * each other and against the tensors.
 */
import { ContixError } from "../../../../proto/errno.js";
import { type Bias, biasTensors, type DecoderShape } from "../decoder-shape.js";
import { Q8_BLOCK } from "../graph-weights.js";
import { ArchMetadata } from "./families/arch-metadata.js";
import { FAMILIES } from "./families/families.js";
import type { Family } from "./families/family.js";
import { ropeScaling } from "./families/rope-scaling.js";
import type { GgufHeader } from "./header.js";
import { Metadata } from "./metadata.js";
import { checkTensors } from "./tensors.js";

/** Attention heads are taken in vectors of this many. */
const HEAD_UNIT = 16;

/** Models that claim more positions are cut to these: the rotary tables would be too large. */
const MOST_POSITIONS = 1 << 17;

/**
 * The shape of the model, checked against its tensors.
 * @throws ContixError EMODEL that names the entry or the tensor at fault.
 */
export function decoderShape(header: GgufHeader): DecoderShape {
  const family = familyOf(header);
  const keys = new ArchMetadata(header, family.arch);
  refuseVariants(keys);
  const base = baseShape(header, keys);
  const shape = { ...base, ...family.features(keys, base), ...biases(header, family) };
  checkTensors(header, shape, family);
  return shape;
}

/** The family that `general.architecture` names, which must be one that is known. */
export function familyOf(header: GgufHeader): Family {
  const arch = new Metadata(header).text("general.architecture");
  const family = FAMILIES.get(arch);
  if (family) return family;
  const known = [...FAMILIES.keys()].join(", ");
  throw bad(header, `has the architecture "${arch}"; those that can be read: ${known}`);
}

/** What every decoder has. */
function baseShape(header: GgufHeader, keys: ArchMetadata): DecoderShape {
  const hidden = keys.size("embedding_length");
  const heads = keys.size("attention.head_count");
  const window = keys.size("context_length");
  const scaling = ropeScaling(keys, window);
  const shape: DecoderShape = {
    layers: keys.size("block_count"),
    hidden,
    heads,
    kvHeads: keys.size("attention.head_count_kv", heads),
    headDim: keys.size("attention.key_length", hidden / heads),
    ffn: keys.size("feed_forward_length"),
    vocab: new Metadata(header).list("tokenizer.ggml.tokens").length,
    window: Math.min(window, MOST_POSITIONS),
    ropeTheta: keys.ropeBase("rope.freq_base", 10_000),
    ...(scaling && { ropeScaling: scaling }),
    normEps: keys.number("attention.layer_norm_rms_epsilon"),
    tied: !header.tensors.has("output.weight"),
  };
  checkNumbers(header, shape);
  checkHeads(keys, shape);
  const vocab = keys.count("vocab_size", shape.vocab);
  if (vocab !== shape.vocab) {
    throw bad(header, `says ${vocab} tokens of vocabulary, and its tokenizer has ${shape.vocab}`);
  }
  return shape;
}

/** Variants of an architecture that the graph would compute wrongly. */
function refuseVariants(keys: ArchMetadata): void {
  if (keys.count("expert_count", 0) > 0) {
    throw keys.unusable("expert_count", "a mixture of experts can not be read");
  }
  if (!keys.flag("attention.causal", true)) {
    throw keys.unusable("attention.causal", "a model that sees ahead can not generate");
  }
}

function checkNumbers(header: GgufHeader, shape: DecoderShape): void {
  const { hidden, ffn, heads, kvHeads, headDim } = shape;
  const attended = heads * headDim;
  const rules: readonly (readonly [boolean, string])[] = [
    [
      Number.isInteger(headDim) && headDim % HEAD_UNIT === 0,
      `head size ${headDim} (not a multiple of ${HEAD_UNIT})`,
    ],
    [heads % kvHeads === 0, `${heads} heads over ${kvHeads} key heads`],
    [hidden % Q8_BLOCK === 0, `hidden size ${hidden} (not a multiple of ${Q8_BLOCK})`],
    [ffn % Q8_BLOCK === 0, `feed-forward size ${ffn} (not a multiple of ${Q8_BLOCK})`],
    [attended % Q8_BLOCK === 0, `${heads} heads of ${headDim} (not a multiple of ${Q8_BLOCK})`],
  ];
  for (const [holds, what] of rules)
    if (!holds) throw bad(header, `has an unusable shape: ${what}`);
}

/** Values and rotated dimensions must be a whole head: the graph knows one head size. */
function checkHeads(keys: ArchMetadata, { headDim }: DecoderShape): void {
  const sizes = ["value_length", "key_length_swa", "value_length_swa"].map((k) => `attention.${k}`);
  for (const key of [...sizes, "rope.dimension_count", "rope.dimension_count_swa"]) {
    const value = keys.count(key, headDim);
    if (value !== headDim) {
      throw keys.unusable(key, `${value}; only ${headDim}, a whole head, can be read`);
    }
  }
}

/** The biases that the first layer has any tensor of; the others are then missed by name. */
function biases(header: GgufHeader, family: Family): { biases?: readonly Bias[] } {
  const found = family.biases.filter((bias) =>
    biasTensors(bias, 0).some((name) => header.tensors.has(name)),
  );
  return found.length > 0 ? { biases: found } : {};
}

function bad(header: GgufHeader, what: string): ContixError {
  return new ContixError("EMODEL", `${header.path} ${what}`);
}
