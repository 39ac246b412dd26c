/** A model for tests: logits are a hash of what is in the slot, and of how it came in. */

import type { Detokenizer } from "../../text/server.js";
import type { DecodeRow, Model, ModelInfo } from "../model.js";
import type { Pages } from "../pages.js";
import { WordKv } from "./word-kv.js";

interface Shape extends Pick<ModelInfo, "slots" | "slotTokens" | "vocab" | "eosIds" | "oneWay"> {
  /** Default: none. */
  readonly frames?: number;
  /** It can check guesses, so many at most. Default: none. */
  readonly lookup?: number;
}

export class HashModel implements Model {
  readonly info: ModelInfo;
  readonly pages: Pages;
  readonly verify: Model["verify"];
  /** Of each slot: hash of the tokens up to each position. */
  readonly #kv: WordKv;
  /** What was asked, in words, for tests that look at it. */
  readonly calls: string[] = [];
  readonly #logits: Float32Array;

  constructor({ frames = 0, lookup = 0, ...shape }: Shape) {
    this.verify = lookup === 0 ? undefined : (...run) => this.#verify(...run);
    this.info = {
      ...shape,
      engineDigest: "hash",
      name: "hash",
      chat: false,
      license: "CC0-1.0",
      driver: "fake",
      chunkTokens: 32,
    };
    this.#kv = new WordKv(shape.slots, shape.slotTokens, frames);
    this.pages = this.#pages(this.#kv.pages);
    this.#logits = new Float32Array(Math.max(shape.slots, lookup + 1) * shape.vocab);
  }

  async prefill(
    slot: number,
    start: number,
    tokens: readonly number[],
    wantLogits: boolean,
  ): Promise<Float32Array | undefined> {
    this.calls.push(`prefill ${slot} ${start}+${tokens.length}${wantLogits ? " logits" : ""}`);
    tokens.forEach((token, i) => {
      this.#enter(slot, start + i, token, "prefill");
    });
    return wantLogits ? this.#fill(0, slot) : undefined;
  }

  async decode(rows: readonly DecodeRow[]): Promise<readonly Float32Array[]> {
    this.calls.push(`decode ${rows.map(({ slot, token }) => `${slot}:${token}`).join(" ")}`);
    for (const { slot, position, token } of rows) this.#enter(slot, position, token, "decode");
    return rows.filter((row) => row.wantLogits).map(({ slot }, i) => this.#fill(i, slot));
  }

  async #verify(slot: number, start: number, tokens: readonly number[]): Promise<Float32Array[]> {
    this.calls.push(`verify ${slot} ${start}+${tokens.length}`);
    return tokens.map((token, i) => {
      this.#enter(slot, start + i, token, "decode");
      return this.#fill(i, slot);
    });
  }

  async copy(from: number, to: number, tokens: number): Promise<void> {
    this.calls.push(`copy ${from} ${to} ${tokens}`);
    this.#kv.copy(from, to, tokens);
  }

  async close(): Promise<void> {
    this.calls.push("close");
  }

  #enter(slot: number, position: number, token: number, how: "prefill" | "decode"): void {
    const before = position === 0 ? 0 : (this.#kv.words(slot)[position - 1] ?? 0);
    this.#kv.enter(slot, position, mix(before * 31 + token * 2 + (how === "decode" ? 1 : 0)));
  }

  #fill(row: number, slot: number): Float32Array {
    const { vocab } = this.info;
    const logits = this.#logits.subarray(row * vocab, (row + 1) * vocab);
    const state = this.#kv.words(slot).at(-1) ?? 0;
    for (let id = 0; id < vocab; id++) logits[id] = mix(state ^ (id * 0x9e3779b1)) / 2 ** 29;
    return logits;
  }

  #pages(pages: Pages): Pages {
    return {
      ...pages,
      save: (slot, start, count, frame) => {
        this.calls.push(`save ${slot} ${start}+${count} to ${frame}`);
        pages.save(slot, start, count, frame);
      },
      load: (frame, slot, start, count) => {
        this.calls.push(`load ${frame} to ${slot} ${start}+${count}`);
        pages.load(frame, slot, start, count);
      },
    };
  }
}

function mix(x: number): number {
  let t = Math.imul(x ^ (x >>> 16), 0x45d9f3b);
  t = Math.imul(t ^ (t >>> 16), 0x45d9f3b);
  return (t ^ (t >>> 16)) >>> 0;
}

/**
 * A detokenizer for tests: a token is a letter, and of a multiple of 3 the letter comes
 * only with the next token, as a character of several tokens would.
 */
export function letters(): Detokenizer {
  let held = "";
  return {
    push(token) {
      const text = held + String.fromCharCode(97 + (token % 16));
      held = token % 3 === 0 ? text : "";
      return held === "" ? text : "";
    },
    flush() {
      const text = held;
      held = "";
      return text;
    },
    piece: (token) => ({ bytes: Buffer.of(97 + (token % 16)), special: "" }),
  };
}
