/** A graph that reads windows of text, each from an empty context: to calibrate and to score. */
import { aligned, Session, Tensor } from "../engine/ort.js";
import type { DecoderShape } from "./decoder-shape.js";

export interface WindowOptions {
  readonly shape: DecoderShape;
  /** Tokens of every window. */
  readonly length: number;
  /** Logits of every token, or of the last one only. */
  readonly logits: "all" | "last";
  /** Further outputs of the graph, [hidden] each. */
  readonly probes?: readonly string[];
  readonly threads: number;
}

/** Its KV is fp32. All it gives lies in buffers that the next run overwrites. */
export class WindowSession {
  /** [length or 1, vocab] */
  readonly logits: Float32Array;
  /** By name: k.0, v.0, k.1, … [kvHeads, length, headDim]. */
  readonly kv: ReadonlyMap<string, Float32Array>;
  readonly probes: ReadonlyMap<string, Float32Array>;
  readonly #session: Session;
  readonly #ids: BigInt64Array;
  readonly #inputs: readonly Tensor[];
  readonly #outputs: readonly Tensor[];

  private constructor(session: Session, { shape, length, logits, probes = [] }: WindowOptions) {
    const { kvHeads, headDim, vocab, hidden } = shape;
    this.#session = session;
    const wanted = logits === "all" ? length : 1;
    this.#ids = aligned(BigInt64Array, length);
    const last = aligned(Int32Array, 1).fill(length - 1);
    const total = aligned(Int32Array, 1).fill(length);
    const index = aligned(BigInt64Array, wanted);
    for (let i = 0; i < wanted; i++) index[i] = BigInt(length - wanted + i);
    this.logits = aligned(Float32Array, wanted * vocab);
    const buffers = (names: readonly string[], size: number) =>
      new Map(names.map((name) => [name, aligned(Float32Array, size)]));
    this.kv = buffers(kvNames(shape), kvHeads * length * headDim);
    this.probes = buffers(probes, hidden);
    const kv = [...this.kv.values()].map((data) => new Tensor(data, [1, kvHeads, length, headDim]));
    this.#inputs = [
      new Tensor(this.#ids, [1, length]),
      new Tensor(last, [1]),
      new Tensor(total, [1]),
      new Tensor(index, [wanted]),
      ...kv,
    ];
    const told = [...this.probes.values()].map((data) => new Tensor(data, [hidden]));
    this.#outputs = [new Tensor(this.logits, [wanted, vocab]), ...kv, ...told];
  }

  /** Loads the graph at `path`. */
  static async open(path: string, options: WindowOptions): Promise<WindowSession> {
    const names = kvNames(options.shape);
    const session = await Session.open(path, {
      inputs: [
        ...["input_ids", "seqlens_k", "total_len", "logit_idx"],
        ...names.map((name) => `past_${name}`),
      ],
      outputs: ["logits", ...names.map((name) => `present_${name}`), ...(options.probes ?? [])],
      threads: options.threads,
    });
    return new WindowSession(session, options);
  }

  /** Reads a window. */
  async read(window: readonly number[]): Promise<void> {
    this.#ids.set(window.map(BigInt));
    await this.#session.run(this.#inputs, this.#outputs);
  }

  close(): void {
    for (const tensor of new Set([...this.#inputs, ...this.#outputs])) tensor.close();
    this.#session.close();
  }
}

function kvNames({ layers }: DecoderShape): string[] {
  return Array.from({ length: layers }, (_, i) => [`k.${i}`, `v.${i}`]).flat();
}
