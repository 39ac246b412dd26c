/** Half floats (IEEE 754 binary16), which JavaScript has no array of, as floats. */

let table: Float32Array | undefined;

/** Writes the values of `halves` into `floats`. */
export function widen(halves: Uint16Array, floats: Float32Array): void {
  table ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => halfValue(bits));
  for (let i = 0; i < halves.length; i++) floats[i] = table[halves[i] ?? 0] ?? 0;
}

function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
