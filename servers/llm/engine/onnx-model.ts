/**
 * A compiled model on ONNX Runtime.
 *
 * Decode is one run with a batch row for every slot from the first to the last that takes
 * part: attention's batch is the KV batch. A slot between them that takes no part is
 * computed all the same, as a dummy that writes at the first position that was never
 * filled (and never promised to a page that is being read), where nothing is lost. Prefill is a run with one row, over its slot.
 *
 * All buffers are allocated once, and tensors over them are kept by shape, so that a step
 * makes next to nothing.
 */

import { availableParallelism } from "node:os";
import { join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import { COMPILED_FILES, type CompiledModel, readCompiled } from "../models/compiled.js";
import { KvFrames } from "./kv-frames.js";
import { KvSlots, pageBytes } from "./kv-slots.js";
import type { DecodeRow, Model, ModelInfo } from "./model.js";
import { Session } from "./ort.js";
import type { Pages } from "./pages.js";
import { ShapedBuffer } from "./shaped-buffer.js";

export interface OnnxModelOptions {
  readonly slots: number;
  /** The longest context wanted, tokens; the model's window is another bound. */
  readonly slotTokens: number;
  /** 0: all cores. */
  readonly threads: number;
  /** For pages outside the slots, bytes. */
  readonly pageMemory?: number | bigint;
  /** Tokens guessed at most, which `verify` checks with one more; default 0: no `verify`. */
  readonly lookup?: number;
}

/** Its cost is added to the inter-token time of the rows beside it: ENGINE.md, "Speed". */
const CHUNK_TOKENS = 64;

/** Two pages and a bit, tokens: what is entered to see whether all ways in are one. */
const PROBE = 35;

/** Each guess needs a row of logits. */
const MOST_GUESSES = 64;

export class OnnxModel implements Model {
  readonly pages: Pages;
  #info: ModelInfo;
  #verifies = false;
  readonly #session: Session;
  readonly #kv: KvSlots;
  readonly #ids: ShapedBuffer<BigInt64Array>;
  /** Of each row: the position of its last token. */
  readonly #lasts: ShapedBuffer<Int32Array>;
  /** The length of the longest row, this run's tokens included. */
  readonly #total = new ShapedBuffer(Int32Array, 1);
  /** Which of the run's tokens leave logits. */
  readonly #wanted: ShapedBuffer<BigInt64Array>;
  readonly #logits: ShapedBuffer<Float32Array>;
  /** Of each slot: positions from here on hold nothing. */
  readonly #filled: number[];

  /** @param lookup tokens guessed at most, of which `verify` is to give the logits */
  private constructor(session: Session, kv: KvSlots, info: ModelInfo, lookup: number) {
    this.#info = info;
    const rows = Math.max(info.slots, lookup + 1);
    this.pages = new KvFrames(kv, (slot, end) => {
      this.#filled[slot] = end;
    });
    this.#session = session;
    this.#kv = kv;
    this.#ids = new ShapedBuffer(BigInt64Array, Math.max(info.slots, info.slotTokens));
    this.#lasts = new ShapedBuffer(Int32Array, info.slots);
    this.#wanted = new ShapedBuffer(BigInt64Array, rows);
    this.#logits = new ShapedBuffer(Float32Array, rows * info.vocab);
    this.#filled = Array.from({ length: info.slots }, () => 0);
  }

  /** Loads the compiled model in `dir`. */
  static async open(dir: string, options: OnnxModelOptions): Promise<OnnxModel> {
    const model = await readCompiled(dir);
    const slotTokens = Math.min(options.slotTokens, model.window);
    const { layers, kvHeads, headDim } = model;
    const names = (kind: string): string[] =>
      Array.from({ length: layers }, (_, i) => [`${kind}_k.${i}`, `${kind}_v.${i}`]).flat();
    const session = await Session.open(join(dir, COMPILED_FILES.graph), {
      inputs: ["input_ids", "seqlens_k", "total_len", "logit_idx", ...names("past")],
      outputs: ["logits", ...names("present")],
      threads: options.threads || availableParallelism(),
      config: { "session.force_spinning_stop": "1" },
    });
    const { slots } = options;
    const page = { layers, kvHeads, headDim, format: model.kv };
    const frames = Math.floor(Number(options.pageMemory ?? 0) / pageBytes(page));
    const kv = new KvSlots({ ...page, slots, slotTokens, frames });
    // Only over int8 do several queries and one sum their scores in the same order.
    const lookup = model.kv === "int8" ? checkedLookup(options.lookup ?? 0) : 0;
    const opened = new OnnxModel(session, kv, info(model, options.slots, slotTokens), lookup);
    if (model.kv === "int8" && (await opened.#entersOneWay())) {
      opened.#info = { ...opened.#info, oneWay: true };
      opened.#verifies = lookup > 0;
    }
    return opened;
  }

  get info(): ModelInfo {
    return this.#info;
  }

  /** Only where all ways in are one: checking guesses is a kind of prefill. */
  get verify(): Model["verify"] {
    return this.#verifies ? (...run) => this.#verify(...run) : undefined;
  }

  async prefill(
    slot: number,
    start: number,
    tokens: readonly number[],
    wantLogits: boolean,
  ): Promise<Float32Array | undefined> {
    this.#wanted.data[0] = BigInt(tokens.length - 1);
    await this.#enter(slot, start, tokens, wantLogits ? 1 : 0);
    return wantLogits ? this.#row(0) : undefined;
  }

  /**
   * Whether tokens leave the same bits by prefill and by decode: tried, since law 2 hangs on
   * it and kernels of other CPUs may do otherwise. The last token reads all before it.
   */
  async #entersOneWay(): Promise<boolean> {
    const { vocab, slotTokens } = this.#info;
    const tokens = Array.from({ length: Math.min(PROBE, slotTokens) }, (_, i) => (i * 97) % vocab);
    const last = tokens.pop() ?? 0;
    if (tokens.length < 2) return false;
    const decoded = async (position: number, token: number) => {
      const row = { slot: 0, position, token, wantLogits: true };
      return Float32Array.from((await this.decode([row]))[0] ?? []);
    };
    const chunk = Float32Array.from((await this.prefill(0, 0, tokens, true)) ?? []);
    const together = [chunk, await decoded(tokens.length, last)];
    let before = chunk;
    for (const [position, token] of tokens.entries()) before = await decoded(position, token);
    const singly = [before, await decoded(tokens.length, last)];
    this.#filled[0] = 0;
    return together.every((logits, i) => sameBits(logits, singly[i]));
  }

  async #verify(slot: number, start: number, tokens: readonly number[]): Promise<Float32Array[]> {
    for (let i = 0; i < tokens.length; i++) this.#wanted.data[i] = BigInt(i);
    await this.#enter(slot, start, tokens, tokens.length);
    return tokens.map((_, i) => this.#row(i));
  }

  /** One run with one row, which leaves the logits of its first `wanted` in `#wanted`. */
  async #enter(slot: number, start: number, tokens: readonly number[], wanted: number) {
    const end = start + tokens.length;
    for (let i = 0; i < tokens.length; i++) this.#ids.data[i] = BigInt(tokens[i] ?? 0);
    this.#lasts.data[0] = end - 1;
    this.#filled[slot] = end;
    await this.#run(slot, [1, tokens.length], end, wanted);
  }

  async decode(rows: readonly DecodeRow[]): Promise<readonly Float32Array[]> {
    const bySlot = [...rows].sort((a, b) => a.slot - b.slot);
    const parts = this.#parts(bySlot);
    const logits = new Map<DecodeRow, Float32Array>();
    for (const part of parts) {
      await this.#decodePart(part);
      const wanting = part.filter((row) => row.wantLogits);
      // Another part's run would overwrite them.
      const keep = parts.length > 1;
      wanting.forEach((row, i) => {
        logits.set(row, keep ? this.#row(i).slice() : this.#row(i));
      });
    }
    return rows.flatMap((row) => logits.get(row) ?? []);
  }

  async copy(from: number, to: number, tokens: number): Promise<void> {
    this.#kv.copy(from, to, tokens);
    this.#filled[to] = tokens;
  }

  async close(): Promise<void> {
    for (const buffer of [this.#ids, this.#lasts, this.#total, this.#wanted, this.#logits]) {
      buffer.close();
    }
    this.#kv.close();
    this.#session.close();
  }

  /** Cuts rows, in order of their slots, where a slot between them is full: no room for a dummy. */
  #parts(rows: readonly DecodeRow[]): DecodeRow[][] {
    const parts: DecodeRow[][] = [];
    let before = Number.POSITIVE_INFINITY;
    for (const row of rows) {
      let joins = before < row.slot;
      for (let hole = before + 1; hole < row.slot; hole++) {
        if ((this.#filled[hole] ?? 0) >= this.info.slotTokens) joins = false;
      }
      if (joins) parts.at(-1)?.push(row);
      else parts.push([row]);
      before = row.slot;
    }
    return parts;
  }

  async #decodePart(rows: readonly DecodeRow[]): Promise<void> {
    const first = rows[0]?.slot ?? 0;
    const count = (rows.at(-1)?.slot ?? 0) - first + 1;
    for (let i = 0; i < count; i++) {
      this.#ids.data[i] = 0n;
      this.#lasts.data[i] = this.#filled[first + i] ?? 0;
    }
    let wanted = 0;
    for (const { slot, position, token, wantLogits } of rows) {
      this.#ids.data[slot - first] = BigInt(token);
      this.#lasts.data[slot - first] = position;
      this.#filled[slot] = position + 1;
      if (wantLogits) this.#wanted.data[wanted++] = BigInt(slot - first);
    }
    const longest = Math.max(...this.#lasts.data.subarray(0, count)) + 1;
    await this.#run(first, [count, 1], longest, wanted);
  }

  /** One run over slots first.. with `shape` = [rows, tokens per row]. */
  async #run(
    first: number,
    shape: readonly [number, number],
    total: number,
    wanted: number,
  ): Promise<void> {
    this.#total.data[0] = total;
    // The graph of int8 can not quantize no rows: where nobody wants logits, one row's go unread.
    if (wanted === 0) this.#wanted.data[0] = 0n;
    const logits = Math.max(1, wanted);
    const kv = this.#kv.tensors(first, shape[0]);
    await this.#session.run(
      [
        this.#ids.tensor(...shape),
        this.#lasts.tensor(shape[0]),
        this.#total.tensor(1),
        this.#wanted.tensor(logits),
        ...kv,
      ],
      [this.#logits.tensor(logits, this.info.vocab), ...kv],
    );
  }

  #row(index: number): Float32Array {
    const { vocab } = this.info;
    return this.#logits.data.subarray(index * vocab, (index + 1) * vocab);
  }
}

function sameBits(a: Float32Array, b: Float32Array | undefined): boolean {
  return b !== undefined && Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
}

function checkedLookup(lookup: number): number {
  if (lookup <= MOST_GUESSES) return lookup;
  const message = `lookup is ${lookup}; at most ${MOST_GUESSES} tokens can be guessed at once`;
  throw new ContixError("EINVAL", message, { argument: "lookup" });
}

function info(model: CompiledModel, slots: number, slotTokens: number): ModelInfo {
  return {
    engineDigest: model.engineDigest,
    name: model.name,
    slots,
    slotTokens,
    vocab: model.vocab,
    eosIds: model.eosIds,
    chat: model.chatTemplate !== null,
    license: model.license,
    driver: "onnxruntime",
    chunkTokens: CHUNK_TOKENS,
  };
}
