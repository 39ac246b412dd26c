/**
 * Tokenizers against other programs: PyPI's `tokenizers` and `sentencepiece`, and
 * llama.cpp. Vocabularies are trained here, on words of many scripts.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readGgufHeader } from "../../servers/llm/models/gguf/header.js";
import { modelText } from "../../servers/llm/models/gguf/text.js";
import { ggufBytes, type WriterValue } from "../../servers/llm/models/testing/gguf-writer.js";
import { byteAlphabet } from "../../servers/llm/models/tokenizer-json.js";
import { PRE_TOKENIZERS } from "../../servers/llm/models/tokenizer-json-pre.js";
import { ByteDetokenizer } from "../../servers/llm/text/detokenizer.js";
import { Tokenizer } from "../../servers/llm/text/tokenizer.js";
import { readVocabulary, type Vocabulary } from "../../servers/llm/text/vocabulary.js";
import { findPython } from "./support/python.js";
import { corpus, texts } from "./tokenizers-texts.js";

const SEED = Number(process.env.CONTIX_SEED ?? 1);
const CORPUS = corpus(SEED, 600);
const TEXTS = texts(SEED, 200);
const PEER = new URL(
  "../../bench/peers/node_modules/node-llama-cpp/dist/index.js",
  import.meta.url,
);

const python = await findPython();
const script = (name: string): Promise<string> => readFile(new URL(name, import.meta.url), "utf8");

async function ask<T>(name: string, request: object): Promise<T> {
  if (!python) throw new Error("no Python");
  const input = Buffer.from(JSON.stringify(request));
  return JSON.parse((await python.run(await script(name), [], input)).toString());
}

function decode({ tokenBytes }: Vocabulary, ids: readonly number[]): string {
  const detokenizer = new ByteDetokenizer(tokenBytes);
  return ids.map((id) => detokenizer.push(id)).join("") + detokenizer.flush();
}

/** Of how many texts the two say the same, and of the first that they do not, what. */
function differences(
  ours: (text: string) => readonly number[] | string,
  theirs: readonly (readonly number[] | string)[],
  all: readonly string[] = TEXTS,
): string[] {
  const wrong = all.flatMap((text, i) => {
    const [a, b] = [ours(text), theirs[i] ?? []];
    const at = [...a].findIndex((one, j) => one !== [...b][j]);
    if (at < 0 && a.length === b.length) return [];
    const from = Math.max(0, at - 2);
    const shown = [a, b].map((some) => visible(JSON.stringify(some.slice(from, from + 8))));
    const [said, theySaid] = shown;
    return [`${visible(JSON.stringify(text))} from ${from}: ours ${said}, theirs ${theySaid}`];
  });
  return wrong.length === 0 ? [] : [`seed ${SEED}, ${wrong.length} of ${all.length}: ${wrong[0]}`];
}

/** Escapes what would not be seen. */
function visible(text: string): string {
  const escaped = (char: string): string => `\\u{${char.codePointAt(0)?.toString(16)}}`;
  return text.replace(/[\p{C}\p{M}]|(?! )\p{Z}/gu, escaped);
}

const saysNoByte = (text: string): boolean => !text.includes("<0x0A>");

interface Hub {
  readonly name: string;
  readonly json: object;
  readonly lossless: boolean;
  readonly ids: readonly number[][];
  readonly whole: readonly number[][];
  readonly decoded: readonly string[];
}

interface Pieces {
  readonly pieces: readonly (readonly [string, number, number])[];
  readonly charsmap: string;
  readonly ids: readonly number[][];
}

const UNIGRAM = {
  model_type: "unigram",
  vocab_size: 700,
  unk_id: 2,
  bos_id: -1,
  eos_id: 1,
  pad_id: 0,
};
const SCORED = { model_type: "bpe", vocab_size: 900, byte_fallback: true };
const ASIS = { normalization_rule_name: "identity", remove_extra_whitespaces: false };

const sentencePiece = (options: object): Promise<Pieces> =>
  ask("tokenizers-sentencepiece.py", { corpus: CORPUS, texts: TEXTS, options });

describe.skipIf(!python)("tokenizer.json of Hugging Face tokenizers", () => {
  it("is read part by part", async () => {
    const { charsmap } = await sentencePiece(UNIGRAM);
    const found = await ask<Hub[]>("tokenizers-hub.py", { corpus: CORPUS, texts: TEXTS, charsmap });
    expect(found.length).toBeGreaterThan(70);
    const wrong: string[] = [];
    for (const { name, json, lossless, ids, whole, decoded } of found) {
      // There the name of a byte is that byte; here no text may say one.
      const asked = name === "unigram, bytes" ? TEXTS.filter(saysNoByte) : TEXTS;
      const among = <T>(all: readonly T[]): T[] =>
        all.filter((_, i) => asked.includes(TEXTS[i] ?? ""));
      const vocabulary = readVocabulary(json);
      const tokenizer = new Tokenizer(vocabulary);
      const encode = (text: string) => tokenizer.encode(text, { special: true });
      const all = [
        ...differences(encode, among(ids), asked),
        ...differences((text) => tokenizer.encodeWhole(text), among(whole), asked),
        ...(lossless ? differences((text) => decode(vocabulary, encode(text)), TEXTS) : []),
        ...(lossless ? differences((text) => decode(vocabulary, encode(text)), decoded) : []),
      ];
      wrong.push(...all.map((each) => `${name}: ${each}`));
    }
    expect(wrong).toEqual([]);
  });
});

/**
 * Where llama.cpp's expressions only come near a model's own, which ours are: what is left
 * of a text for it. Case beyond ASCII, and white space beyond ASCII.
 */
const ascii = (text: string): string => text.replace(/[^\0-\x7f]/gu, "");
const asciiSpace = (text: string): string => text.replace(/(?![\0-\x7f])\p{White_Space}/gu, " ");
const UNLIKE: ReadonlyMap<string, (text: string) => string> = new Map([
  ...["tekken", "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"].map(
    (name) => [name, ascii] as const,
  ),
  ["deepseek-llm", asciiSpace],
  ["deepseek-coder", asciiSpace],
]);

/** What a GGUF file's head says of these pieces. */
function pieceMetadata({ pieces, charsmap }: Pieces, model: string): Record<string, WriterValue> {
  return {
    "tokenizer.ggml.model": model,
    "tokenizer.ggml.pre": "default",
    "tokenizer.ggml.tokens": { texts: pieces.map(([text]) => text) },
    "tokenizer.ggml.scores": { f32s: pieces.map(([, score]) => score) },
    "tokenizer.ggml.token_type": { i32s: pieces.map(([, , type]) => type) },
    ...(model === "t5" && {
      "tokenizer.ggml.precompiled_charsmap": { bytes: Buffer.from(charsmap, "base64") },
      "tokenizer.ggml.remove_extra_whitespaces": true,
      "tokenizer.ggml.eos_token_id": { u32: 1 },
      "tokenizer.ggml.unknown_token_id": { u32: 2 },
    }),
  };
}

describe("a GGUF's tokenizer", () => {
  let dir: string;
  let files = 0;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "contix-tokenizers-"));
  });
  afterAll(() => rm(dir, { recursive: true }));

  /** A file with a vocabulary and no tensors. */
  async function file(metadata: Record<string, WriterValue>): Promise<string> {
    const path = join(dir, `${files++}.gguf`);
    const head = {
      "general.architecture": "llama",
      "llama.block_count": { u32: 1 },
      "llama.context_length": { u32: 64 },
      "llama.embedding_length": { u32: 64 },
      "llama.feed_forward_length": { u32: 64 },
      "llama.attention.head_count": { u32: 1 },
      "llama.attention.layer_norm_rms_epsilon": { f32: 1e-5 },
    };
    await writeFile(path, ggufBytes({ metadata: { ...head, ...metadata }, tensors: [] }));
    return path;
  }

  async function read(path: string): Promise<Vocabulary> {
    return readVocabulary(modelText(await readGgufHeader(path)).tokenizer);
  }

  describe.skipIf(!python)("against sentencepiece", () => {
    it.each([
      ["BPE", true],
      ["BPE", false],
    ])("%s with bytes, space prefix %s", async (_, prefix) => {
      const trained = await sentencePiece({ ...SCORED, ...ASIS, add_dummy_prefix: prefix });
      const metadata = pieceMetadata(trained, "llama");
      const flag = { "tokenizer.ggml.add_space_prefix": prefix };
      const vocabulary = await read(await file({ ...metadata, ...flag }));
      const tokenizer = new Tokenizer(vocabulary);
      const encode = (text: string) => tokenizer.encode(text, { special: false });
      expect(differences(encode, trained.ids)).toEqual([]);
      const written = TEXTS.map((text) =>
        (prefix && text !== "" ? ` ${text}` : text).replaceAll("▁", " "),
      );
      expect(differences((text) => decode(vocabulary, encode(text)), written)).toEqual([]);
    });

    it("unigram with its rules of normalization", async () => {
      const trained = await sentencePiece(UNIGRAM);
      const tokenizer = new Tokenizer(await read(await file(pieceMetadata(trained, "t5"))));
      const encode = (text: string) => tokenizer.encode(text, { special: false });
      // Of two cuts with the same sum, in a run of one character, it takes what sums of 32
      // bits make of it; Hugging Face's, llama.cpp's and ours have 64.
      const clear = TEXTS.map((text, i) => ({ text, ids: trained.ids[i] ?? [] })).filter(
        ({ text }) => !/(\S)\1\1/u.test(text.normalize("NFKC")),
      );
      const theirs = clear.map(({ ids }) => ids);
      const all = clear.map(({ text }) => text);
      expect(differences(encode, theirs, all)).toEqual([]);
    });
  });

  const peerMissing = !existsSync(PEER);
  if (peerMissing) console.warn("skipped: node-llama-cpp is not installed in bench/peers");
  if (peerMissing && process.env.CI) throw new Error("node-llama-cpp is needed in CI");

  describe.skipIf(peerMissing)("against llama.cpp", () => {
    // What it does with half a character, and with no text, is its own.
    const asked = TEXTS.filter((text) => text !== "" && !text.includes("\0"));

    async function peer(requests: readonly object[]): Promise<number[][][]> {
      const program = fileURLToPath(new URL("tokenizers-peer.mjs", import.meta.url));
      const child = spawn(process.execPath, [program, PEER.href]);
      const errors = buffer(child.stderr);
      child.stdin.end(JSON.stringify(requests));
      const answer = (await buffer(child.stdout)).toString();
      if (answer === "") throw new Error(`the peer died: ${await errors}`);
      return JSON.parse(answer);
    }

    async function compare(
      metadata: Record<string, WriterValue>,
      fit = (text: string): string => text,
    ): Promise<string[]> {
      const gguf = await file(metadata);
      const all = asked.map(fit);
      const [theirs = []] = await peer([{ gguf, texts: all, special: false }]);
      const tokenizer = new Tokenizer(await read(gguf));
      return differences((text) => tokenizer.encode(text, { special: false }), theirs, all);
    }

    it("each pre-tokenizer by name", async () => {
      const bytes = byteAlphabet();
      const merges = [...new Set(CORPUS.slice(0, 60).flatMap((line) => pairs(line, bytes)))];
      const tokens = [...bytes, "<|end|>", ...merges.map((pair) => pair.replace(" ", ""))];
      const types = tokens.map((token) => (token === "<|end|>" ? 3 : 1));
      const names = [...PRE_TOKENIZERS.keys()];
      const paths = await Promise.all(
        names.map((name) =>
          file({
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": name,
            "tokenizer.ggml.tokens": { texts: tokens },
            "tokenizer.ggml.token_type": { i32s: types },
            "tokenizer.ggml.merges": { texts: merges },
            "tokenizer.ggml.bos_token_id": { u32: 256 },
            "tokenizer.ggml.eos_token_id": { u32: 256 },
          }),
        ),
      );
      const fit = (name: string): string[] => asked.map(UNLIKE.get(name) ?? ((text) => text));
      const theirs = await peer(
        paths.map((gguf, i) => ({ gguf, texts: fit(names[i] ?? ""), special: false })),
      );
      const wrong: string[] = [];
      for (const [i, name] of names.entries()) {
        const tokenizer = new Tokenizer(await read(paths[i] ?? ""));
        const encode = (text: string) => tokenizer.encode(text, { special: false });
        wrong.push(
          ...differences(encode, theirs[i] ?? [], fit(name)).map((each) => `${name}: ${each}`),
        );
      }
      expect(wrong).toEqual([]);
    });

    it.skipIf(!python)("SentencePiece BPE", async () => {
      const trained = await sentencePiece({ ...SCORED, ...ASIS });
      expect(await compare(pieceMetadata(trained, "llama"))).toEqual([]);
    });

    it.skipIf(!python)("unigram", async () => {
      expect(await compare(pieceMetadata(await sentencePiece(UNIGRAM), "t5"))).toEqual([]);
    });

    it("WordPiece", async () => {
      const words = [
        ...new Set(CORPUS.slice(0, 40).flatMap((line) => line.toLowerCase().split(" "))),
      ];
      const chars = [...new Set(words.join(""))];
      const tokens = [
        ...["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
        ...chars.map((char) => `▁${char}`),
        ...chars.slice(0, 60),
        ...words.filter((word) => [...word].length > 1).map((word) => `▁${word}`),
      ];
      const unique = [...new Set(tokens)];
      const metadata = {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": { texts: unique },
        "tokenizer.ggml.token_type": { i32s: unique.map((_, i) => (i < 4 ? 3 : 1)) },
        "tokenizer.ggml.bos_token_id": { u32: 2 },
        "tokenizer.ggml.unknown_token_id": { u32: 1 },
        "tokenizer.ggml.seperator_token_id": { u32: 3 },
        "tokenizer.ggml.padding_token_id": { u32: 0 },
      };
      // It drops marks that take room too, and has U+0085 for a space.
      const fit = (text: string): string =>
        text.normalize("NFD").replace(/\p{Mc}|\p{Me}|\u0085/gu, "");
      const wrong = await compare(metadata, fit);
      expect(wrong).toEqual([]);
    });
  });
});

/** Pairs of a line's words: of bytes, and of pairs of bytes. */
function pairs(line: string, alphabet: readonly string[]): string[] {
  return line.split(" ").flatMap((word) => {
    const symbols = Array.from(Buffer.from(` ${word}`), (byte) => alphabet[byte] ?? "");
    const [a = "", b = "", c = "", d = ""] = symbols;
    return symbols.length < 4 ? [] : [`${a} ${b}`, `${c} ${d}`, `${a}${b} ${c}${d}`];
  });
}
