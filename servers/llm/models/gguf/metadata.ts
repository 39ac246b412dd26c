/** Typed access to the metadata of a GGUF file; a failure names the entry. */
import { ContixError } from "../../../../proto/errno.js";
import type { GgufHeader, GgufValue } from "./header.js";

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

  /** A positive integer; zero only as the fallback. */
  count(key: string, fallback?: number): number {
    const value = this.#get(key, fallback);
    const integer = typeof value === "number" && Number.isSafeInteger(value);
    if (value !== fallback && (!integer || value < 0)) throw this.#bad(key, value, "a count");
    return Number(value);
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
    return new ContixError("EMODEL", `${this.#header.path} has an unusable ${key}: ${why}`);
  }

  #get(key: string, fallback?: GgufValue): GgufValue {
    const value = this.#header.metadata.get(key) ?? fallback;
    if (value === undefined) {
      throw new ContixError("EMODEL", `${this.#header.path} has no metadata "${key}"`);
    }
    return value;
  }

  #bad(key: string, value: GgufValue, wanted: string): ContixError {
    const shown = Array.isArray(value) ? "a list" : JSON.stringify(value);
    const what = `has ${shown} as metadata "${key}" where ${wanted} is expected`;
    return new ContixError("EMODEL", `${this.#header.path} ${what}`);
  }
}
