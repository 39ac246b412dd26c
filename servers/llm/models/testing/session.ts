/** Runs a compiled model with onnxruntime-node's ordinary API: one row, slow, for tests. */
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { COMPILED_FILES, type CompiledModel, readCompiled } from "../compiled.js";

/** One context of a compiled model, from position 0 on. */
export class TestSession {
  readonly config: CompiledModel;
  readonly #session: InferenceSession;
  #kv: Record<string, Tensor> = {};
  #length = 0;

  private constructor(config: CompiledModel, session: InferenceSession) {
    this.config = config;
    this.#session = session;
  }

  static async open(dir: string): Promise<TestSession> {
    // Tests run beside each other: a second thread would wait more than it works.
    const options = { intraOpNumThreads: 1 };
    const session = await InferenceSession.create(join(dir, COMPILED_FILES.graph), options);
    return new TestSession(await readCompiled(dir), session);
  }

  /** Forgets everything; the next context may hold `tokens`. */
  reset(tokens: number): void {
    const { layers, kvHeads, headDim, kv } = this.config;
    this.#length = 0;
    this.#kv = {};
    for (let i = 0; i < layers; i++) {
      for (const part of ["k", "v"]) {
        const dims = [1, kvHeads, tokens, headDim];
        const size = kvHeads * tokens * headDim;
        this.#kv[`past_${part}.${i}`] =
          kv === "int8"
            ? new Tensor("int8", new Int8Array(size), dims)
            : new Tensor("float32", new Float32Array(size), dims);
      }
    }
  }

  /** Enters tokens in one run; the logits of those that `wanted` names (default: the last). */
  async enter(
    tokens: readonly number[],
    wanted: readonly number[] = [tokens.length - 1],
  ): Promise<Float32Array[]> {
    this.#length += tokens.length;
    const outputs = await this.#session.run({
      ...this.#kv,
      input_ids: new Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]),
      logit_idx: new Tensor("int64", BigInt64Array.from(wanted, BigInt), [wanted.length]),
      seqlens_k: new Tensor("int32", Int32Array.of(this.#length - 1), [1]),
      total_len: new Tensor("int32", Int32Array.of(this.#length), [1]),
    });
    for (const name of Object.keys(this.#kv)) {
      const present = outputs[name.replace("past", "present")];
      if (present) this.#kv[name] = present;
    }
    const logits = outputs.logits?.data;
    if (!(logits instanceof Float32Array)) throw new Error("the graph gave no logits");
    const { vocab } = this.config;
    return wanted.map((_, i) => logits.slice(i * vocab, (i + 1) * vocab));
  }

  /** The greedy continuation of `prompt`, until an end token or `most` tokens. */
  async greedy(prompt: readonly number[], most: number): Promise<number[]> {
    this.reset(prompt.length + most);
    let logits = await this.enter(prompt);
    const out: number[] = [];
    while (out.length < most) {
      const next = argmax(logits[0] ?? new Float32Array(1));
      out.push(next);
      if (this.config.eosIds.includes(next)) break;
      if (out.length < most) logits = await this.enter([next]);
    }
    return out;
  }
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}
