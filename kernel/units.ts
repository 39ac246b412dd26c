/** Settings that people write with a unit. */

const DURATION_US = { "": 1000, ms: 1000, s: 1e6, m: 60e6, h: 3600e6 } as const;
const UNITS = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 } as const;

/** `90s`, `5m`, `2h`, or milliseconds; 0 is never. */
export const DURATION = /^(\d{1,9})(ms|s|m|h)?$/;
/** `6GiB`, `512m`, bytes, or a share such as `80%`. */
export const MEMORY = /^(?:(\d{1,15}(?:\.\d+)?)\s*(?:([kmgt])i?b?)?|(\d{1,2}|100)%)$/i;

/** The same without shares. */
export const SIZE = /^(\d{1,15}(?:\.\d+)?)\s*(?:([kmgt])i?b?)?$/i;

/** Microseconds of a text that matches DURATION. */
export function durationUs(text: string): number {
  const [, digits = "0", unit = ""] = DURATION.exec(text) ?? [];
  return Number(digits) * DURATION_US[unit as keyof typeof DURATION_US];
}

/** Bytes of a text that matches MEMORY; a share is one of `machine` bytes. */
export function memoryBytes(text: string, machine: number): number {
  const [, digits, unit = "", share] = MEMORY.exec(text) ?? [];
  if (share !== undefined) return Math.floor((machine * Number(share)) / 100);
  return Math.floor(Number(digits ?? 0) * UNITS[unit.toLowerCase() as keyof typeof UNITS]);
}
