/**
 * A decoder that came as an ONNX export, run as it came: the plain, slower adapter.
 *
 * Every row runs alone, and keys and values move at every step, since such a graph takes
 * its past whole and gives a new one. What it must not give up is law 2, and such a graph
 * promises little: other lengths choose other kernels, so a token's bits depend on how
 * many others entered with it. So what runs is decided by positions alone:
 *
 * - A token that enters by decode is a run of one token over all before it.
 * - Given tokens enter by blocks, [0, block), [block, 2 block), ...: a run is always a
 *   whole block over all before that block, however the plan cuts. Tokens of the block that
 *   are in the slot already enter again, and what they give is thrown away; places behind
 *   the last token are filled, and no token sees what is behind it. So each token's keys
 *   and values come from a run of one shape over its own history.
 * - A graph whose rows depend on what is behind them (dynamic quantization: one scale for
 *   all tokens of a run) has blocks of one token. compile-export.ts finds out.
 */

import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { DecodeRow, Model, ModelInfo } from "../engine/model.js";
import { aligned, BOOL, Session, Tensor } from "../engine/ort.js";
import { NO_PAGES } from "../engine/pages.js";
import { type CompiledExport, readCompiledExport } from "./compiled-export.js";
import { GrowingKv } from "./growing-kv.js";
import { widen } from "./half.js";
import type { Layout } from "./layout.js";

export interface ExportModelOptions {
  readonly slots: number;
  /** The longest context wanted, tokens; the model's window is another bound. */
  readonly slotTokens: number;
  /** 0: all cores. */
  readonly threads: number;
}

/** A chunk of a plan is a few blocks; tokens that enter one by one take as long each as a step. */
const CHUNK_BLOCKS = 2;
const CHUNK_SINGLES = 8;

/** What a block is filled with behind its last token: any token that there is. */
const FILLER = 0n;

export class ExportModel implements Model {
  readonly info: ModelInfo;
  /** Its keys and values move at every step as it is. */
  readonly pages = NO_PAGES;
  readonly #model: CompiledExport;
  readonly #session: Session;
  readonly #kv: GrowingKv;
  /** Tokens of each slot: those of a block that has begun enter again with the rest of it. */
  readonly #tokens: number[][];
  readonly #ids: BigInt64Array;
  readonly #mask: BigInt64Array;
  readonly #positions: BigInt64Array;
  readonly #branch = aligned(Uint8Array, 1);
  /** num_logits_to_keep: 0 means all. */
  readonly #keep = aligned(BigInt64Array, 1);
  /** Logits of a run [tokens, vocab], as the graph writes them. */
  readonly #raw: Float32Array | Uint16Array;
  readonly #logits: Float32Array;

  private constructor(model: CompiledExport, session: Session, info: ModelInfo) {
    const { block, layout, window } = model;
    const capacity = Math.min(Math.ceil(info.slotTokens / block) * block, window);
    this.info = info;
    this.#model = model;
    this.#session = session;
    this.#kv = new GrowingKv({ ...layout, slots: info.slots, capacity, block });
    this.#tokens = Array.from({ length: info.slots }, () => []);
    this.#ids = aligned(BigInt64Array, block);
    this.#positions = aligned(BigInt64Array, block);
    this.#mask = aligned(BigInt64Array, capacity).fill(1n);
    const raw = block * layout.vocab;
    this.#raw = layout.logits === "fp32" ? aligned(Float32Array, raw) : aligned(Uint16Array, raw);
    this.#logits = aligned(Float32Array, info.slots * layout.vocab);
  }

  /** Loads the compiled export in `dir`. */
  static async open(dir: string, options: ExportModelOptions): Promise<ExportModel> {
    const model = await readCompiledExport(dir);
    const { layout } = model;
    const session = await Session.open(join(dir, model.files[0] ?? ""), {
      inputs: inputNames(layout),
      outputs: ["logits", ...kvNames(layout, layout.present)],
      threads: options.threads || availableParallelism(),
      config: { "session.force_spinning_stop": "1" },
    });
    return new ExportModel(model, session, info(model, options));
  }

  async prefill(
    slot: number,
    start: number,
    tokens: readonly number[],
    wantLogits: boolean,
  ): Promise<Float32Array | undefined> {
    const { block, window } = this.#model;
    const known = this.#cut(slot, start);
    known.push(...tokens);
    let row = 0;
    for (let at = start; at < known.length; ) {
      const first = Math.floor(at / block) * block;
      const end = Math.min(first + block, window);
      const until = Math.min(end, known.length);
      await this.#run(slot, first, end, at, until);
      row = until - 1 - first;
      at = until;
    }
    return wantLogits ? this.#take(row, 0) : undefined;
  }

  async decode(rows: readonly DecodeRow[]): Promise<readonly Float32Array[]> {
    const logits: Float32Array[] = [];
    for (const { slot, position, token, wantLogits } of rows) {
      this.#cut(slot, position).push(token);
      await this.#run(slot, position, position + 1, position, position + 1);
      if (wantLogits) logits.push(this.#take(0, logits.length));
    }
    return logits;
  }

  async copy(from: number, to: number, tokens: number): Promise<void> {
    this.#kv.copy(from, to, tokens);
    this.#tokens[to] = this.#slotTokens(from).slice(0, tokens);
  }

  async close(): Promise<void> {
    this.#session.close();
  }

  /** Keeps the first `tokens` of a slot; they are returned. */
  #cut(slot: number, tokens: number): number[] {
    this.#kv.cut(slot, tokens);
    const known = this.#slotTokens(slot);
    known.length = tokens;
    return known;
  }

  #slotTokens(slot: number): number[] {
    const tokens = this.#tokens[slot];
    if (tokens === undefined) throw new RangeError(`no slot ${slot}`);
    return tokens;
  }

  /** Runs positions [first, end) of a slot, and keeps what [from, until) of them give. */
  async #run(slot: number, first: number, end: number, from: number, until: number): Promise<void> {
    const known = this.#slotTokens(slot);
    for (let i = 0; i < end - first; i++) {
      const token = known[first + i];
      this.#ids[i] = token === undefined ? FILLER : BigInt(token);
      this.#positions[i] = BigInt(first + i);
    }
    this.#branch[0] = first === 0 ? 0 : 1;
    this.#kv.setAside(slot, first);
    const inputs = this.#inputs(slot, first, end);
    const outputs = [
      new Tensor(this.#raw, [1, end - first, this.info.vocab]),
      ...this.#kv.present(end),
    ];
    try {
      await this.#session.run(inputs, outputs);
    } finally {
      for (const tensor of [...inputs, ...outputs]) tensor.close();
    }
    this.#kv.keep(slot, from, until);
  }

  /** In the order of `inputNames`. */
  #inputs(slot: number, first: number, end: number): Tensor[] {
    const { mask, positions, cacheBranch, keepRank } = this.#model.layout;
    const shape = [1, end - first];
    const inputs = [new Tensor(this.#ids, shape)];
    if (mask) inputs.push(new Tensor(this.#mask, [1, end]));
    if (positions) inputs.push(new Tensor(this.#positions, shape));
    if (cacheBranch) inputs.push(new Tensor(this.#branch, [1], BOOL));
    if (keepRank !== null) inputs.push(new Tensor(this.#keep, keepRank === 0 ? [] : [1]));
    return [...inputs, ...this.#kv.past(slot)];
  }

  /** A row of the last run's logits, at a place of its own for each of a call. */
  #take(row: number, place: number): Float32Array {
    const { vocab } = this.info;
    const logits = this.#logits.subarray(place * vocab, (place + 1) * vocab);
    const raw = this.#raw.subarray(row * vocab, (row + 1) * vocab);
    if (raw instanceof Uint16Array) widen(raw, logits);
    else logits.set(raw);
    return logits;
  }
}

function inputNames(layout: Layout): string[] {
  return [
    "input_ids",
    ...(layout.mask ? ["attention_mask"] : []),
    ...(layout.positions ? ["position_ids"] : []),
    ...(layout.cacheBranch ? ["use_cache_branch"] : []),
    ...(layout.keepRank !== null ? ["num_logits_to_keep"] : []),
    ...kvNames(layout, "past_key_values"),
  ];
}

function kvNames({ layers }: Layout, prefix: string): string[] {
  return layers.flatMap((_, i) => [`${prefix}.${i}.key`, `${prefix}.${i}.value`]);
}

function info(model: CompiledExport, { slots, slotTokens }: ExportModelOptions): ModelInfo {
  return {
    engineDigest: model.engineDigest,
    name: model.name,
    slots,
    slotTokens: Math.min(slotTokens, model.window),
    vocab: model.vocab,
    eosIds: model.eosIds,
    chat: model.chatTemplate !== null,
    license: model.license,
    driver: "onnxruntime",
    chunkTokens: model.block === 1 ? CHUNK_SINGLES : CHUNK_BLOCKS * model.block,
  };
}
