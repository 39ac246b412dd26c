/** Typed access to the metadata of a GGUF file; a failure names the entry. */
import { ContixError } from "../../../../proto/errno.js";
import type { GgufHeader, GgufValue } from "./header.js";

/** No count of a model is beyond; a file that says so is damaged. */
const MOST = 2 ** 24;

/** The most characters that a message shows of a value, and of a reason. */
const SHOWN = 80;
const SHOWN_REASON = 500;

export class Metadata {
  readonly #header: GgufHeader;

  constructor(header: GgufHeader) {
    this.#header = header;
  }

  has(key: string): boolean {
    return this.#header.metadata.has(key);
  }

  text(key: string, fallback?: string): string {
    const value = this.#get(key, fallback);
    if (typeof value !== "string") throw this.#bad(key, value, "a text");
    return value;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.#get(key, fallback);
    if (typeof value !== "boolean") throw this.#bad(key, value, "true or false");
    return value;
  }

  /** A positive finite number. */
  number(key: string, fallback?: number): number {
    const value = this.#get(key, fallback);
    if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
      throw this.#bad(key, value, "a positive number");
    }
    return value;
  }

  /** An integer within what a model can have of it; anything as the fallback. */
  count(key: string, fallback?: number): number {
    const value = this.#get(key, fallback);
    if (typeof value === "number" && value === fallback) return value;
    // A layer has tensors. Checked here, before anything is made for each layer.
    const most = key.endsWith(".block_count") ? this.#header.tensors.size : MOST;
    const fits = typeof value === "number" && Number.isInteger(value);
    if (fits && value >= 0 && value <= most) return value;
    throw this.#bad(key, value, `a count of at most ${most}`);
  }

  list(key: string): readonly GgufValue[] {
    const value = this.#get(key);
    if (!Array.isArray(value)) throw this.#bad(key, value, "a list");
    return value;
  }

  texts(key: string): readonly string[] {
    return this.list(key).map((value, i) => {
      if (typeof value !== "string") throw this.#bad(`${key}[${i}]`, value, "a text");
      return value;
    });
  }

  /** The error for a value that can not be used. */
  unusable(key: string, why: string): ContixError {
    return new ContixError(
      "EMODEL",
      `${this.#header.path} has an unusable ${key}: ${cut(why, SHOWN_REASON)}`,
    );
  }

  #get(key: string, fallback?: GgufValue): GgufValue {
    const value = this.#header.metadata.get(key) ?? fallback;
    if (value === undefined) {
      throw new ContixError("EMODEL", `${this.#header.path} has no metadata "${key}"`);
    }
    return value;
  }

  #bad(key: string, value: GgufValue, wanted: string): ContixError {
    const quoted = typeof value === "string" ? JSON.stringify(cut(value, SHOWN)) : String(value);
    const shown = Array.isArray(value) ? "a list" : quoted;
    const what = `has ${shown} as metadata "${key}" where ${wanted} is expected`;
    return new ContixError("EMODEL", `${this.#header.path} ${what}`);
  }
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
