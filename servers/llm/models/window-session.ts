/** A graph that reads windows of text, each from an empty context: to calibrate and to score. */
import { aligned, Session, Tensor } from "../engine/ort.js";
import type { DecoderShape } from "./decoder-shape.js";

export interface WindowOptions {
  readonly shape: DecoderShape;
  /** Tokens of every window. */
  readonly length: number;
  /**
   * Tokens that are read at once, of which `length` is a multiple: logits of many take much
   * memory, and no bit depends on it (law 2). Default: the whole window.
   */
  readonly part?: number;
  /** Logits of every token that is read, or of the last one only. */
  readonly logits: "all" | "last";
  /** Further outputs of the graph, [hidden] each. */
  readonly probes?: readonly string[];
  readonly threads: number;
}

/** Its KV is fp32. All it gives lies in buffers that the next run overwrites. */
export class WindowSession {
  /** [part or 1, vocab] */
  readonly logits: Float32Array;
  /** By name: k.0, v.0, k.1, … [kvHeads, length, headDim]. */
  readonly kv: ReadonlyMap<string, Float32Array>;
  readonly probes: ReadonlyMap<string, Float32Array>;
  readonly #session: Session;
  readonly #ids: BigInt64Array;
  /** The position of the last token that is read, and how many there are up to it. */
  readonly #last = aligned(Int32Array, 1);
  readonly #total = aligned(Int32Array, 1);
  readonly #inputs: readonly Tensor[];
  readonly #outputs: readonly Tensor[];

  private constructor(session: Session, options: WindowOptions) {
    const { shape, length, part = length, logits, probes = [] } = options;
    const { kvHeads, headDim, vocab, hidden } = shape;
    this.#session = session;
    const wanted = logits === "all" ? part : 1;
    this.#ids = aligned(BigInt64Array, part);
    const index = aligned(BigInt64Array, wanted);
    for (let i = 0; i < wanted; i++) index[i] = BigInt(part - wanted + i);
    this.logits = aligned(Float32Array, wanted * vocab);
    const buffers = (names: readonly string[], size: number) =>
      new Map(names.map((name) => [name, aligned(Float32Array, size)]));
    this.kv = buffers(kvNames(shape), kvHeads * length * headDim);
    this.probes = buffers(probes, hidden);
    const kv = [...this.kv.values()].map((data) => new Tensor(data, [1, kvHeads, length, headDim]));
    this.#inputs = [
      new Tensor(this.#ids, [1, part]),
      new Tensor(this.#last, [1]),
      new Tensor(this.#total, [1]),
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

  /** Reads the part of a window that begins at `start`; those before it come first. */
  async read(window: readonly number[], start = 0): Promise<void> {
    const end = start + this.#ids.length;
    this.#ids.set(window.slice(start, end).map(BigInt));
    this.#last[0] = end - 1;
    this.#total[0] = end;
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
