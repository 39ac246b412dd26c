/**
 * How byte-level models cut text before they merge, by GGUF's `tokenizer.ggml.pre`: the
 * names and expressions that llama.cpp knows. Each expression cuts the pieces of the one
 * before; a match is a piece of its own, and so is what lies between two.
 *
 * Left out are names whose cuts are no expressions (kimi-k2, afmoe), whose pieces are no
 * bytes (gemma4), and whose expressions take quadratic time (superbpe, tiny_aya).
 */

export interface PreTokenization {
  /** Oniguruma. */
  readonly splits: readonly string[];
  /** A piece that is a token is that token, in spite of the merges. */
  readonly ignoreMerges?: true;
  /** A context starts with the BOS token, where the file does not say. */
  readonly addBos?: true;
}

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
const CONTRACTION = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const SPACES = "\\s+(?!\\S)|\\s+";
const LINES = `\\s*[\\r\\n]+|${SPACES}`;
const REST = ` ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${LINES}`;

/** Words with what stands before them, digits as they are given, then the rest. */
const words = (digits: string): string =>
  `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}|${REST}`;

const LLAMA3: PreTokenization = {
  splits: [words("\\p{N}{1,3}")],
  ignoreMerges: true,
  addBos: true,
};

const UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";

/** Words cut where capitals begin. */
const cased = (end: string, digits: string): string =>
  [
    `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${end}`,
    `[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${end}`,
    `${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${LINES}`,
  ].join("|");

const GPT4O = cased(`${CONTRACTION}?`, "\\p{N}{1,3}");

/** Of cased scripts: what DeepSeek's first models take for words. */
const CASED_LETTERS =
  "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ" +
  "-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉ" +
  "ⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃";

const DEEPSEEK_V3 = [
  "\\p{N}{1,3}",
  "[一-龥぀-ゟ゠-ヿ]+",
  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+" +
    `| ?[\\p{P}\\p{S}]+[\\r\\n]*|${LINES}`,
];

const BLOOM = " ?[^(\\s|.,!?…。，、।۔،)]+";

const gpt2: PreTokenization = { splits: [GPT2] };
const digitsAlone: PreTokenization = { splits: ["\\p{N}", GPT2] };
const qwen2: PreTokenization = { splits: [words("\\p{N}")] };
const llama3Plain: PreTokenization = { splits: LLAMA3.splits };
const deepseekV3: PreTokenization = { splits: DEEPSEEK_V3 };
const bloom: PreTokenization = { splits: [BLOOM] };
const gpt4o: PreTokenization = { splits: [GPT4O] };
const bailing: PreTokenization = {
  splits: [
    "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" +
      `| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|${SPACES}`,
  ],
};

/** One entry for each of `names`. */
function named(names: string, pre: PreTokenization): [string, PreTokenization][] {
  return names.split(" ").map((name) => [name, pre]);
}

/** By the name in the file. */
export const PRE_TOKENIZERS: ReadonlyMap<string, PreTokenization> = new Map([
  ...named("default", {
    splits: ["[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"],
  }),
  ...named("gpt-2 phi-2 olmo mpt jais trillion granite-docling exaone4 mellum modern-bert", gpt2),
  ...named("jina-es jina-de jina-v2-es jina-v2-de jina-v1-en jina-v2-code roberta-bpe", gpt2),
  ...named("gigachat a.x-4.0", gpt2),
  ...named("smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", digitsAlone),
  ...named("llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2", LLAMA3),
  ...named("jina-v5-nano", LLAMA3),
  ...named("dbrx smaug-bpe glm4 chatglm-bpe", llama3Plain),
  ...named("qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan", qwen2),
  ...named("solar-open grok-2", qwen2),
  ...named("qwen35", {
    splits: [
      `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}` +
        `| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${LINES}`,
    ],
  }),
  ...named("deepseek-llm", {
    splits: [
      "[\\r\\n]",
      `\\s?[${CASED_LETTERS}]+`,
      "\\s?[!-/:-~！-／：-～‘-‟　-。]+",
      // White space at the end, told from where it begins: each of its characters would
      // else be tried as the first.
      "(?<!\\s)\\s+\\z",
      "[一-龥ࠀ-一가-퟿]+",
      "\\p{N}+",
    ],
  }),
  ...named("deepseek-coder", {
    splits: ["[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"],
  }),
  ...named("deepseek-v3 hunyuan-dense joyai-llm hy_v4", deepseekV3),
  ...named("falcon", {
    splits: ["[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"],
  }),
  ...named("bloom poro-chat gpt3-finnish", bloom),
  ...named("viking", { splits: [BLOOM, "\\p{N}"] }),
  ...named("tekken", { splits: [cased("", "\\p{N}")], ignoreMerges: true, addBos: true }),
  ...named("gpt-4o llama4 kanana2 talkie minimax-m2", gpt4o),
  ...named("bailingmoe bailingmoe2 llada-moe", bailing),
  ...named("seed-coder", {
    splits: [
      `${CONTRACTION}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|${LINES}`,
    ],
  }),
  ...named("minicpm5", { splits: ["\\p{N}{1,3}", words("\\p{N}+")], ignoreMerges: true }),
]);
