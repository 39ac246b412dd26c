/**
 * Philox4x32-10, a counter-based generator: Salmon, Moraes, Dror and Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). A draw is a pure
 * function of (seed, position, choice), so it depends on no draw before it and
 * a schedule cannot change it.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;
const ROUNDS = 10;

/** The high 32 bits of the 64-bit product of two uint32, by 16-bit halves (a double holds 53). */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const other = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (other >>> 16);
}

/**
 * One block: 4 words of `counter` (uint32) under a key of 2 words become 4 random
 * words, written to `out`.
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  out: Uint32Array,
): void {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = mulHigh(M0, c0);
    const low0 = Math.imul(M0, c0);
    const high1 = mulHigh(M1, c2);
    const low1 = Math.imul(M1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** The draws of one burst: its u64 seed is the key, split once. */
export class Draws {
  readonly #key: readonly [number, number];
  readonly #out = new Uint32Array(4);

  constructor(seed: bigint) {
    this.#key = [Number(seed & 0xffffffffn), Number((seed >> 32n) & 0xffffffffn)];
  }

  /** A multiple of 2^-53 in [0, 1) for a token position and the number of the choice there (uint32). */
  uniform(position: number, choice: number): number {
    philox4x32([position >>> 0, choice >>> 0, 0, 0], this.#key, this.#out);
    const [a = 0, b = 0] = this.#out;
    return ((a >>> 5) * 0x4000000 + (b >>> 6)) * 2 ** -53;
  }
}
