/** Packs floats as ggml's K types (blocks of 256), the simple way; for tests. */
import { half, rounded } from "./pack-half.js";

/** One block of 256 values in a K type. */
export const K_BLOCK = {
  Q2_K: (values: Float32Array) => {
    const { d, dmin, scales, minimums, levels } = withMinimums(values, 16, 15, 3);
    const bytes = scales.map((scale, i) => scale | ((minimums[i] ?? 0) << 4));
    return Buffer.concat([Buffer.from(bytes), quarters(levels), half(d), half(dmin)]);
  },
  Q3_K: (values: Float32Array) => {
    const { d, scales, levels } = around(values, 31, 4);
    const thirds = bitPlanes(levels.map((level) => level >> 2));
    const packed = scalesOfQ3(scales.map((scale) => scale + 32));
    return Buffer.concat([thirds, quarters(levels.map((level) => level & 3)), packed, half(d)]);
  },
  Q4_K: (values: Float32Array) => {
    const { d, dmin, scales, minimums, levels } = withMinimums(values, 32, 63, 15);
    return Buffer.concat([half(d), half(dmin), scalesOfQ4(scales, minimums), nibbles(levels, 32)]);
  },
  Q5_K: (values: Float32Array) => {
    const { d, dmin, scales, minimums, levels } = withMinimums(values, 32, 63, 31);
    const fifths = bitPlanes(levels.map((level) => level >> 4));
    const low = nibbles(levels, 32);
    return Buffer.concat([half(d), half(dmin), scalesOfQ4(scales, minimums), fifths, low]);
  },
  Q6_K: (values: Float32Array) => {
    const { d, scales, levels } = around(values, 127, 32);
    const high = quarters(levels.map((level) => level >> 4));
    return Buffer.concat([nibbles(levels, 64), high, Buffer.from(scales), half(d)]);
  },
} as const;

/** Groups of `size` values, each scale * level - minimum; scales up to `most`, levels to `top`. */
function withMinimums(values: Float32Array, size: number, most: number, top: number) {
  const groups = groupsOf(values, size);
  const lows = groups.map((group) => Math.max(0, -Math.min(...group)));
  const steps = groups.map((group, i) => (Math.max(0, ...group) + (lows[i] ?? 0)) / top);
  const d = rounded(Math.max(...steps) / most);
  const dmin = rounded(Math.max(...lows) / most);
  const scales = steps.map((step) => level(step / d, 0, most));
  const minimums = lows.map((low) => level(low / dmin, 0, most));
  const levels = groups.flatMap((group, i) => {
    const [scale, minimum] = [d * (scales[i] ?? 0), dmin * (minimums[i] ?? 0)];
    return group.map((value) => level((value + minimum) / scale, 0, top));
  });
  return { d, dmin, scales, minimums, levels };
}

/** Groups of 16 values, each scale * (level - zero). */
function around(values: Float32Array, most: number, zero: number) {
  const groups = groupsOf(values, 16);
  const steps = groups.map((group) => Math.max(...group.map(Math.abs)) / (zero - 1));
  const d = rounded(Math.max(...steps) / most);
  const scales = steps.map((step) => level(step / d, 0, most));
  const levels = groups.flatMap((group, i) =>
    group.map((value) => level(value / (d * (scales[i] ?? 0)) + zero, 0, 2 * zero - 1)),
  );
  return { d, scales, levels };
}

function groupsOf(values: Float32Array, size: number): number[][] {
  const count = values.length / size;
  return Array.from({ length: count }, (_, i) => [...values.subarray(i * size, (i + 1) * size)]);
}

function level(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, Math.round(value) || 0));
}

/** Two bits a value: byte j of half h holds values 128h + 32s + j at bits 2s. */
function quarters(levels: readonly number[]): Buffer {
  return Buffer.from(
    Array.from({ length: 64 }, (_, i) => {
      const first = (i >> 5) * 128 + (i & 31);
      return [0, 1, 2, 3].reduce((byte, s) => byte | ((levels[first + 32 * s] ?? 0) << (2 * s)), 0);
    }),
  );
}

/** One bit a value: bit b of byte j is that of value 32b + j. */
function bitPlanes(bits: readonly number[]): Buffer {
  return Buffer.from(
    Array.from({ length: 32 }, (_, j) =>
      Array.from({ length: 8 }, (_, b) => (bits[32 * b + j] ?? 0) << b).reduce((a, b) => a | b),
    ),
  );
}

/** Four bits a value: `run` values in low nibbles, the next `run` in the high ones. */
function nibbles(levels: readonly number[], run: number): Buffer {
  return Buffer.from(
    Array.from({ length: 128 }, (_, i) => {
      const low = Math.floor(i / run) * 2 * run + (i % run);
      return ((levels[low] ?? 0) & 15) | (((levels[low + run] ?? 0) & 15) << 4);
    }),
  );
}

function scalesOfQ3(scales: readonly number[]): Buffer {
  const at = (i: number) => scales[i] ?? 0;
  const low = Array.from({ length: 8 }, (_, i) => (at(i) & 15) | ((at(i + 8) & 15) << 4));
  const high = [0, 1, 2, 3].map((i) =>
    [0, 1, 2, 3].reduce((byte, s) => byte | ((at(i + 4 * s) >> 4) << (2 * s)), 0),
  );
  return Buffer.from([...low, ...high]);
}

function scalesOfQ4(scales: readonly number[], minimums: readonly number[]): Buffer {
  const first = (of: readonly number[]) =>
    [0, 1, 2, 3].map((i) => (of[i] ?? 0) | (((of[i + 4] ?? 0) >> 4) << 6));
  const last = [4, 5, 6, 7].map((i) => ((scales[i] ?? 0) & 15) | (((minimums[i] ?? 0) & 15) << 4));
  return Buffer.from([...first(scales), ...first(minimums), ...last]);
}
