/** Halves for packed tensor types; for tests. */

/** The nearest half, as a number. */
export function rounded(value: number): number {
  return Math.round(value / unitOf(value)) * unitOf(value);
}

/** The bytes of the nearest half. */
export function half(value: number): Buffer {
  const nearest = Math.abs(rounded(value));
  const unit = unitOf(nearest);
  // A normal number's highest bit adds one to the exponent.
  const exponent = Math.log2(unit) + 24;
  const out = Buffer.alloc(2);
  out.writeUInt16LE((value < 0 ? 0x8000 : 0) | ((exponent << 10) + nearest / unit));
  return out;
}

/** The distance of halves near a number. */
function unitOf(value: number): number {
  const exponent = value === 0 ? -14 : Math.floor(Math.log2(Math.abs(value)));
  return 2 ** (Math.max(-14, exponent) - 10);
}
