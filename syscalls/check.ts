/**
 * Cheap checks of types at the surface, so that a slip of the caller is named
 * where it was made. Ranges and meaning are the kernel's to judge.
 */
const LONE_SURROGATE = /\p{Surrogate}/u;

function shown(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  return Array.isArray(value) ? "an array" : typeof value;
}

/** A string that has a UTF-8 form. */
export function checkText(argument: string, value: unknown): string {
  if (typeof value !== "string") {
    throw new TypeError(`${argument}: expected a string, got ${shown(value)}`);
  }
  if (LONE_SURROGATE.test(value)) {
    throw new TypeError(`${argument}: half of a character: cut strings between characters`);
  }
  return value;
}

/** A whole number of [least, 2^32). */
export function checkCount(argument: string, value: unknown, least = 0): number {
  if (typeof value !== "number") {
    throw new TypeError(`${argument}: expected a number, got ${shown(value)}`);
  }
  if (!Number.isInteger(value) || value < least || value > 0xffffffff) {
    throw new RangeError(`${argument}: expected a whole number, ${least} or more, got ${value}`);
  }
  return value;
}

/** A number that is not NaN. */
export function checkNumber(argument: string, value: unknown): number {
  if (typeof value !== "number" || Number.isNaN(value)) {
    throw new TypeError(`${argument}: expected a number, got ${shown(value)}`);
  }
  return value;
}

/** A whole number of [-2^31, 2^31). */
export function checkInt(argument: string, value: unknown): number {
  const number = checkNumber(argument, value);
  if ((number | 0) !== number) {
    throw new RangeError(`${argument}: expected a whole number, got ${number}`);
  }
  return number;
}

/** A uint64, from a number, a bigint or decimal digits. */
export function checkUint64(argument: string, value: unknown): bigint {
  const digits = typeof value === "string" && /^\d{1,20}$/.test(value);
  const exact = digits || (typeof value === "number" && Number.isSafeInteger(value));
  const whole = exact ? BigInt(value) : value;
  if (typeof whole !== "bigint") {
    throw new TypeError(`${argument}: expected a whole number or a bigint, got ${shown(value)}`);
  }
  if (whole < 0n || whole >= 1n << 64n) {
    throw new RangeError(`${argument}: expected 0 to 2^64 - 1, got ${whole}`);
  }
  return whole;
}

/** An array of strings. */
export function checkTexts(argument: string, value: unknown): string[] {
  if (!Array.isArray(value)) {
    throw new TypeError(`${argument}: expected an array of strings, got ${shown(value)}`);
  }
  return value.map((item, i) => checkText(`${argument}[${i}]`, item));
}
