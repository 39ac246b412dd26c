/**
 * Scores token windows with a compiled model's graph: all logits of a window in one run, through
 * onnxruntime-node's ordinary API. Slow, and independent of our own binding.
 */
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import {
  COMPILED_FILES,
  type CompiledModel,
  readCompiled,
} from "../../servers/llm/models/compiled.js";

/** What a model says of a window's tokens 1.. given those before them. */
export interface WindowScore {
  /** Negative log-likelihood of each token, nats. */
  readonly nll: Float64Array;
  /** The likeliest token at each place. */
  readonly top: Int32Array;
}

export class Scorer implements AsyncDisposable {
  readonly #session: InferenceSession;
  readonly #config: CompiledModel;

  private constructor(session: InferenceSession, config: CompiledModel) {
    this.#session = session;
    this.#config = config;
  }

  /** @param dir a compiled model's directory @param threads 0: all cores */
  static async open(dir: string, threads: number): Promise<Scorer> {
    const config = await readCompiled(dir);
    const session = await InferenceSession.create(join(dir, COMPILED_FILES.graph), {
      intraOpNumThreads: threads,
      logSeverityLevel: 3,
    });
    return new Scorer(session, config);
  }

  get vocab(): number {
    return this.#config.vocab;
  }

  /** Scores a window of 2 or more tokens from an empty context, as one first prompt. */
  async score(window: readonly number[]): Promise<WindowScore> {
    const { logits } = await this.#session.run(this.#feeds(window), ["logits"]);
    if (!(logits?.data instanceof Float32Array)) throw new Error("the graph gave no logits");
    try {
      return scoreLogits(logits.data, this.#config.vocab, window.slice(1));
    } finally {
      logits.dispose();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release();
  }

  /** The inputs of the graph contract (see servers/llm/models/graph.ts): one row, no past. */
  #feeds(window: readonly number[]): Record<string, Tensor> {
    const { kvHeads, headDim } = this.#config;
    const length = window.length;
    const feeds: Record<string, Tensor> = {
      input_ids: new Tensor("int64", BigInt64Array.from(window, BigInt), [1, length]),
      seqlens_k: new Tensor("int32", Int32Array.of(length - 1), [1]),
      total_len: new Tensor("int32", Int32Array.of(length), [1]),
      // Every place but the last, whose next token the window does not have.
      logit_idx: new Tensor(
        "int64",
        BigInt64Array.from({ length: length - 1 }, (_, i) => BigInt(i)),
        [length - 1],
      ),
    };
    for (const metadata of this.#session.inputMetadata) {
      if (!metadata.isTensor || !metadata.name.startsWith("past_")) continue;
      // [batch, heads, positions, values of a head]: in int8 two values may share a byte.
      const last = metadata.shape.at(-1);
      const dims = [1, kvHeads, length, typeof last === "number" ? last : headDim];
      feeds[metadata.name] = emptyTensor(metadata.type, dims);
    }
    return feeds;
  }
}

/** Zeros, of a type that a cache of keys and values may have. */
function emptyTensor(type: string, dims: readonly number[]): Tensor {
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (type === "float32") return new Tensor(type, new Float32Array(size), dims);
  if (type === "int8") return new Tensor(type, new Int8Array(size), dims);
  if (type === "uint8") return new Tensor(type, new Uint8Array(size), dims);
  throw new Error(`a cache of ${type}`);
}

/**
 * Negative log-likelihood of `targets` and the likeliest token under each row of logits.
 * @param logits [targets.length, vocab]
 */
export function scoreLogits(
  logits: Float32Array,
  vocab: number,
  targets: readonly number[],
): WindowScore {
  const nll = new Float64Array(targets.length);
  const top = new Int32Array(targets.length);
  targets.forEach((target, i) => {
    const row = logits.subarray(i * vocab, (i + 1) * vocab);
    const best = argmax(row);
    const peak = row[best] ?? 0;
    let sum = 0;
    for (const x of row) sum += Math.exp(x - peak);
    top[i] = best;
    nll[i] = Math.log(sum) + peak - (row[target] ?? Number.NaN);
  });
  return { nll, top };
}

/** The index of the greatest number; the lowest of equals. */
function argmax(row: Float32Array): number {
  let best = 0;
  let peak = Number.NEGATIVE_INFINITY;
  row.forEach((x, i) => {
    if (x > peak) {
      peak = x;
      best = i;
    }
  });
  return best;
}
