/** Small models for tests of the text side: real files, no graph. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMPILED_FILES, type CompiledModel } from "../../models/compiled.js";
import { byteAlphabet, tokenizerJson } from "../../models/tokenizer-json.js";
import { ModelText } from "../model-text.js";
import { readVocabulary } from "../vocabulary.js";

export const END = "<|im_end|>";
export const START = "<|im_start|>";
export const SPECIAL = ["<|endoftext|>", START, END];

/** SmolLM2's, which puts a system message before a conversation that has none. */
export const CHATML_WITH_DEFAULT =
  "{% for message in messages %}" +
  "{% if loop.first and messages[0]['role'] != 'system' %}" +
  "{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}" +
  "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

const PAIRS = ["Ġ t", "h e", "Ġt he", "i n", "in g", "a a", "aa aa", "Ã ©"];

/** Ids 0-255 are the bytes, 256-258 the special tokens, then come the merges. */
export function smallTokenizer(without: readonly number[] = []): object {
  const merges = PAIRS.map((pair): [string, string] => {
    const [left = "", right = ""] = pair.split(" ");
    return [left, right];
  });
  // A byte that is left out gives its id to a token that no text has.
  const bytes = byteAlphabet().map((char, byte) => (without.includes(byte) ? `-${byte}-` : char));
  const tokens = [...bytes, ...SPECIAL, ...merges.map((pair) => pair.join(""))];
  return tokenizerJson({ tokens, merges, special: [256, 257, 258], pre: "smollm" });
}

export function smallModel(some: Partial<CompiledModel> = {}): CompiledModel {
  return {
    format: 1,
    name: "small",
    arch: "llama",
    engineDigest: "0".repeat(64),
    weightsDigest: "0".repeat(64),
    recipe: "q8",
    kv: "fp32",
    layers: 1,
    hidden: 1,
    heads: 1,
    kvHeads: 1,
    headDim: 1,
    ffn: 1,
    vocab: 267,
    window: 2048,
    ropeTheta: 10_000,
    normEps: 1e-5,
    bosId: 256,
    addBos: false,
    eosIds: [258, 256],
    chatTemplate: CHATML_WITH_DEFAULT,
    license: "CC0-1.0",
    ...some,
  };
}

export function smallText(some: Partial<CompiledModel> = {}, without: readonly number[] = []) {
  return new ModelText(smallModel(some), readVocabulary(smallTokenizer(without)));
}

/** The same as a directory; `remove` deletes it. */
export async function smallModelDir(some: Partial<CompiledModel> = {}) {
  const dir = await mkdtemp(join(tmpdir(), "contix-text-"));
  await writeFile(join(dir, COMPILED_FILES.config), JSON.stringify(smallModel(some)));
  await writeFile(join(dir, COMPILED_FILES.tokenizer), JSON.stringify(smallTokenizer()));
  await writeFile(join(dir, COMPILED_FILES.graph), "");
  await writeFile(join(dir, COMPILED_FILES.weights), "");
  return { dir, remove: () => rm(dir, { recursive: true }) };
}
