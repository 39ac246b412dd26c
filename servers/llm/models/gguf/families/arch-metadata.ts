/** The metadata entries of one architecture: keys without its name before them. */
import type { ContixError } from "../../../../../proto/errno.js";
import type { GgufHeader } from "../header.js";
import { Metadata } from "../metadata.js";

export class ArchMetadata {
  readonly #header: GgufHeader;
  readonly #meta: Metadata;
  readonly #arch: string;

  constructor(header: GgufHeader, arch: string) {
    this.#header = header;
    this.#meta = new Metadata(header);
    this.#arch = arch;
  }

  has(key: string): boolean {
    return this.#meta.has(this.#key(key));
  }

  text(key: string, fallback?: string): string {
    return this.#meta.text(this.#key(key), fallback);
  }

  flag(key: string, fallback: boolean): boolean {
    return this.#meta.flag(this.#key(key), fallback);
  }

  /** A positive finite number. */
  number(key: string, fallback?: number): number {
    return this.#meta.number(this.#key(key), fallback);
  }

  /** The base of rotary frequencies: of a base of one or less no pair would be the slowest. */
  ropeBase(key: string, fallback: number): number {
    const value = this.number(key, fallback);
    if (value <= 1) throw this.unusable(key, `${value} is no base of frequencies`);
    return value;
  }

  /** A positive number, or undefined where there is none. */
  optional(key: string): number | undefined {
    return this.has(key) ? this.number(key) : undefined;
  }

  /** A whole number, zero included. */
  count(key: string, fallback?: number): number {
    return this.#meta.count(this.#key(key), fallback);
  }

  /** A whole number of at least one. */
  size(key: string, fallback?: number): number {
    const value = this.count(key, fallback);
    if (value === 0) throw this.unusable(key, "it is 0");
    return value;
  }

  /** A list of true and false, or undefined where there is no list. */
  flags(key: string): readonly boolean[] | undefined {
    if (!Array.isArray(this.#header.metadata.get(this.#key(key)))) return undefined;
    return this.#meta.list(this.#key(key)).map((value, i) => {
      if (typeof value !== "boolean")
        throw this.unusable(`${key}[${i}]`, "true or false is expected");
      return value;
    });
  }

  /** The error for a value that can not be used. */
  unusable(key: string, why: string): ContixError {
    return this.#meta.unusable(this.#key(key), why);
  }

  #key(key: string): string {
    return `${this.#arch}.${key}`;
  }
}
