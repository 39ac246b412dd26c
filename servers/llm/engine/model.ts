/**
 * What the executor needs of a model: slots of KV and two ways to enter tokens.
 * The real one is onnx-model.ts; the fake driver brings its own.
 */

import type { Pages } from "./pages.js";

export interface ModelInfo {
  /** Names weights, recipe, KV format, runtime and CPU kernels (DESIGN.md, law 2). */
  readonly engineDigest: string;
  readonly name: string;
  readonly slots: number;
  /** Positions of a slot: the longest context, tokens. */
  readonly slotTokens: number;
  readonly vocab: number;
  /** Every token that ends a turn. */
  readonly eosIds: readonly number[];
  /** It has a chat template. */
  readonly chat: boolean;
  readonly license: string;
  readonly driver: "onnxruntime" | "fake";
  /** The prefill chunk it likes best, tokens. */
  readonly chunkTokens: number;
  /** Tokens leave the same bits by prefill and by decode. Default: they do not. */
  readonly oneWay?: boolean;
}

/** One token that enters a slot by decode. */
export interface DecodeRow {
  readonly slot: number;
  readonly position: number;
  readonly token: number;
  readonly wantLogits: boolean;
}

/**
 * A model with its slots. Calls never overlap: the caller awaits each before the next.
 * The same tokens that enter a slot in the same way give the same logits, whatever
 * the other rows, the chunk sizes and the other slots are.
 */
export interface Model {
  readonly info: ModelInfo;
  readonly pages: Pages;
  /**
   * Enters `tokens` (2 or more) at positions start.. of `slot`; resolves with the
   * last position's logits [vocab] when wanted (valid until the next call, may be overwritten).
   */
  prefill(
    slot: number,
    start: number,
    tokens: readonly number[],
    wantLogits: boolean,
  ): Promise<Float32Array | undefined>;
  /**
   * Enters one token per row, at most one row a slot; resolves with logits rows
   * [vocab], in the order of the rows that want them (valid until the next call,
   * may be overwritten).
   */
  decode(rows: readonly DecodeRow[]): Promise<readonly Float32Array[]>;
  /**
   * Enters `tokens` (2 or more) at positions start.. of `slot` in one run; resolves with the
   * logits [vocab] of each position (valid until the next call, may be overwritten). Only a
   * model has it where that gives the same bits as entering them one by one by `decode`.
   */
  verify?:
    | ((slot: number, start: number, tokens: readonly number[]) => Promise<readonly Float32Array[]>)
    | undefined;
  /** Copies the KV of the first `tokens` positions of a slot over another slot's. */
  copy(from: number, to: number, tokens: number): Promise<void>;
  /** Frees everything. No call may be under way. */
  close(): Promise<void>;
}
