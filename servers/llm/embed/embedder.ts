/**
 * Texts to vectors, by an encoder of the BERT family: the tokens' vectors are pooled, and
 * the result has length 1, so that a dot product is the cosine.
 *
 * A text's vector depends on that text alone, to the bit: each runs by itself and without
 * padding. Batches of equal length pay for very short texts only (MiniLM-L6, 16 together:
 * 4 tokens 4×, 8 tokens 2.5×, 16 tokens and more 1.2× at most), and an export may scale its
 * activations by all that runs at once.
 */

import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import { aligned, Session, Tensor } from "../engine/ort.js";
import { COMPILED_FILES } from "../models/compiled.js";
import { Tokenizer } from "../text/tokenizer.js";
import { readVocabulary } from "../text/vocabulary.js";
import { type CompiledEmbedder, readCompiledEmbedder } from "./compiled-embedder.js";
import type { Pooling } from "./inspect-embedder.js";

export interface Embedder extends AsyncDisposable {
  readonly name: string;
  /** Names weights, graph, runtime and CPU kernels: vectors of one digest can be compared. */
  readonly engineDigest: string;
  /** Numbers of a vector. */
  readonly dimensions: number;
  /** Of a longer text the beginning counts; tokens, the model's own at both ends included. */
  readonly maxTokens: number;
  /** A vector of length 1 for each text, in their order. */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
  close(): Promise<void>;
}

export interface EmbedOptions {
  readonly signal?: AbortSignal;
}

export interface EmbedderOptions {
  /** 0: all cores. */
  readonly threads?: number;
}

/**
 * Opens the compiled embedding model in `dir` (compile-embedder.ts).
 * @throws ContixError EMODEL when that is none
 */
export async function openEmbedder(dir: string, options: EmbedderOptions = {}): Promise<Embedder> {
  const model = await readCompiledEmbedder(dir);
  const path = join(dir, COMPILED_FILES.tokenizer);
  const tokens = wholeTexts(JSON.parse(await readFile(path, "utf8")), model);
  const session = await Session.open(join(dir, model.graph), {
    inputs: ["input_ids", ...model.inputs],
    outputs: [model.output],
    threads: options.threads || availableParallelism(),
    config: { "session.force_spinning_stop": "1" },
  });
  return new OnnxEmbedder(model, tokens, session);
}

class OnnxEmbedder implements Embedder {
  readonly name: string;
  readonly engineDigest: string;
  readonly dimensions: number;
  readonly maxTokens: number;
  readonly #pooling: Pooling;
  readonly #tokens: (text: string) => readonly number[];
  readonly #session: Session;
  /** By input: the ids, and what the others are filled with. */
  readonly #inputs: readonly BigInt64Array[];
  readonly #output: Float32Array;
  /** Runs must not overlap. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(
    model: CompiledEmbedder,
    tokens: (text: string) => readonly number[],
    session: Session,
  ) {
    this.name = model.name;
    this.engineDigest = model.engineDigest;
    this.dimensions = model.dimensions;
    this.maxTokens = model.window;
    this.#pooling = model.pooling;
    this.#tokens = tokens;
    this.#session = session;
    // Every token counts, and every text is a first sentence.
    const filled = model.inputs.map((input) => (input === "attention_mask" ? 1n : 0n));
    this.#inputs = [0n, ...filled].map((value) => aligned(BigInt64Array, model.window).fill(value));
    this.#output = aligned(Float32Array, model.window * model.dimensions);
  }

  async embed(texts: readonly string[], { signal }: EmbedOptions = {}): Promise<Float32Array[]> {
    const vectors: Float32Array[] = [];
    for (const text of texts) {
      signal?.throwIfAborted();
      vectors.push(await this.#next(() => this.#embed(this.#tokens(text))));
    }
    return vectors;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    this.#session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Does `work` when all before it is done. */
  #next<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new ContixError("ESHUTDOWN", "the embedder is closed"));
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  async #embed(tokens: readonly number[]): Promise<Float32Array> {
    const [ids] = this.#inputs;
    for (const [i, token] of tokens.entries()) if (ids) ids[i] = BigInt(token);
    const inputs = this.#inputs.map((data) => new Tensor(data, [1, tokens.length]));
    const output = new Tensor(this.#output, [1, tokens.length, this.dimensions]);
    try {
      await this.#session.run(inputs, [output]);
    } finally {
      for (const tensor of [...inputs, output]) tensor.close();
    }
    return pooled(this.#output, this.#pooling === "cls" ? 1 : tokens.length, this.dimensions);
  }
}

/** The mean of the first `count` rows, made 1 long. */
function pooled(rows: Float32Array, count: number, dimensions: number): Float32Array {
  const sums = new Float64Array(dimensions);
  for (let row = 0; row < count; row++) {
    for (let i = 0; i < dimensions; i++) {
      sums[i] = (sums[i] ?? 0) + (rows[row * dimensions + i] ?? 0);
    }
  }
  const length = Math.sqrt(sums.reduce((total, sum) => total + sum * sum, 0));
  return Float32Array.from(sums, (sum) => (length === 0 ? 0 : sum / length));
}

/**
 * Makes tokens of a whole text: those that the tokenizer puts around it, and of what is
 * between them as much as fits. Names of special tokens in a text are text.
 */
function wholeTexts(json: unknown, { window, vocab }: CompiledEmbedder) {
  const vocabulary = readVocabulary(json);
  const tokenizer = new Tokenizer(vocabulary);
  const { prefix, suffix } = vocabulary;
  const room = window - prefix.length - suffix.length;
  return (text: string): readonly number[] => {
    const body = tokenizer.encode(text, { special: false }).slice(0, room);
    const tokens = [...prefix, ...body, ...suffix];
    // A tokenizer may know more tokens than the model: that is the model's fault.
    if (tokens.every((token) => token < vocab)) return tokens;
    throw new ContixError("EMODEL", "the tokenizer gives tokens that the model does not have");
  };
}
