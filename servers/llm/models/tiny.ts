/**
 * The tiny model: seeded random weights through the same graph builder as a real
 * one, made in well under a second, for tests of everything above it. It says
 * nothing sensible, but it is lively (logits are spread, greedy output wanders)
 * and complete: byte-level tokenizer, chat template, several end tokens.
 */
import { createHash } from "node:crypto";
import { type CompileInput, compile, type ModelText } from "./compile.js";
import type { Form } from "./compiled.js";
import type { DecoderShape } from "./decoder-shape.js";
import { modelsRoot } from "./paths.js";
import { quantizeQ8 } from "./quantize.js";
import { byteAlphabet, tokenizerJson } from "./tokenizer-json.js";
import type { WeightSource } from "./weights.js";

/** The name that means this model. */
export const TINY = "tiny";

export const TINY_SHAPE: DecoderShape = {
  layers: 2,
  hidden: 128,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  ffn: 256,
  vocab: 512,
  window: 4096,
  ropeTheta: 10_000,
  normEps: 1e-5,
  tied: true,
};

/** Raise it when the weights of a seed change. */
const TINY_VERSION = 1;

const SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const FIRST_SPECIAL = 256;

const CHAT_TEMPLATE =
  "{% for message in messages %}" +
  "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}" +
  "{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

export interface TinyOptions extends Partial<Form> {
  /** Another seed, another model. */
  readonly seed?: number;
}

/**
 * The directory of the compiled tiny model of a seed, below `dir` (by default
 * the library's compiled models); made if it is not there.
 */
export async function tinyModel(dir = modelsRoot().compiled, options: TinyOptions = {}) {
  return compile(dir, tinyInput(options));
}

/** The tiny model before it is compiled. */
export function tinyInput(options: TinyOptions = {}): CompileInput {
  const { seed = 1, recipe = "q8", kv = "fp32" } = options;
  const identity = `tiny ${TINY_VERSION} ${seed} ${JSON.stringify(TINY_SHAPE)}`;
  return {
    name: TINY,
    arch: "llama",
    license: "CC0-1.0",
    shape: TINY_SHAPE,
    text: tinyText(),
    weightsDigest: createHash("sha256").update(identity).digest("hex"),
    form: { recipe, kv },
    source: tinyWeights(seed),
  };
}

function tinyText(): ModelText {
  const bytes = byteAlphabet();
  const merges = tinyMerges(bytes);
  const tokens = [...bytes, ...SPECIAL, ...merges.map(([left, right]) => left + right)];
  const special = SPECIAL.map((_, i) => FIRST_SPECIAL + i);
  return {
    bosId: FIRST_SPECIAL,
    addBos: false,
    eosIds: [FIRST_SPECIAL, FIRST_SPECIAL + 2],
    chatTemplate: CHAT_TEMPLATE,
    tokenizer: tokenizerJson({ tokens, merges, special, pre: "gpt-2" }),
  };
}

/** Pairs of letters: consonants, space and letter, consonant and vowel, vowel and consonant. */
function tinyMerges(bytes: readonly string[]): [string, string][] {
  const space = bytes[0x20] ?? "";
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const vowels = [..."aeiou"];
  const consonants = letters.filter((letter) => !vowels.includes(letter));
  const doubles = "th nd st nt ch sh ll ss ng ck tt ff rr pp gh wh tr".split(" ");
  return [
    ...doubles.map((pair): [string, string] => [pair.slice(0, 1), pair.slice(1)]),
    ...letters.map((letter): [string, string] => [space, letter]),
    ...consonants.flatMap((c) => vowels.map((v): [string, string] => [c, v])),
    ...vowels.flatMap((v) => consonants.map((c): [string, string] => [v, c])),
  ];
}

/** Standard deviations of the weights, chosen so that the layers outweigh the embedding. */
const SPREAD: readonly (readonly [RegExp, number])[] = [
  [/token_embd/, 0.25],
  [/attn_[qk]/, 0.2],
  [/attn_v/, 0.1],
  [/attn_output/, 0.4],
  [/ffn_(gate|up)/, 0.15],
  [/ffn_down/, 0.2],
];

/** Bytes that are no visible text are seldom the most likely. */
const UNLIKELY = 0.4;

/** Weights drawn from (seed, tensor, row): any row can be made alone. */
function tinyWeights(seed: number): WeightSource {
  const rows = async (tensor: string, first: number, count: number): Promise<Float32Array> => {
    if (tensor.includes("norm")) return new Float32Array(TINY_SHAPE.hidden).fill(1);
    const cols = tensor.includes("ffn_down") ? TINY_SHAPE.ffn : TINY_SHAPE.hidden;
    const spread = SPREAD.find(([pattern]) => pattern.test(tensor))?.[1] ?? 0;
    const out = new Float32Array(count * cols);
    for (let row = 0; row < count; row++) {
      const id = first + row;
      const invisible = id < 0x20 || (id >= 0x7f && id < FIRST_SPECIAL);
      const scale = tensor === "token_embd.weight" && invisible ? spread * UNLIKELY : spread;
      const draw = uniform(`${seed} ${tensor} ${id}`);
      // Uniform in [-√3, √3) has standard deviation 1.
      for (let i = 0; i < cols; i++) out[row * cols + i] = (draw() * 2 - 1) * Math.sqrt(3) * scale;
    }
    return out;
  };
  return { rows, q8: async (...range) => quantizeQ8(await rows(...range)) };
}

/** Numbers in [0, 1) from a name: mulberry32 seeded with the name's hash. */
export function uniform(name: string): () => number {
  let state = createHash("sha256").update(name).digest().readUInt32LE(0);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
