/** Packs floats as ggml tensor types, the simple way; for tests. */

/** Ids of ggml types. */
export const TYPE = { F32: 0, F16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 8 } as const;
export type TypeName = keyof typeof TYPE;

/** The bytes of `values` (whole blocks) in a type. */
export function pack(type: TypeName, values: Float32Array): Uint8Array {
  if (type === "F32") return new Uint8Array(values.slice().buffer);
  if (type === "F16") return Buffer.concat([...values].map(half));
  const blocks: Buffer[] = [];
  for (let i = 0; i < values.length; i += 32) blocks.push(BLOCK[type](values.subarray(i, i + 32)));
  return Buffer.concat(blocks);
}

const BLOCK: Readonly<Record<"Q4_0" | "Q4_1" | "Q8_0", (values: Float32Array) => Buffer>> = {
  Q8_0: (values) => {
    const scale = rounded(Math.max(...values.map(Math.abs)) / 127);
    return Buffer.concat([half(scale), Buffer.from(values.map((v) => Math.round(v / scale) || 0))]);
  },
  Q4_0: (values) => {
    const scale = rounded(Math.max(...values.map(Math.abs)) / 7);
    return Buffer.concat([half(scale), nibbles(values, (v) => v / scale + 8)]);
  },
  Q4_1: (values) => {
    const low = rounded(Math.min(...values));
    const scale = rounded((Math.max(...values) - low) / 15);
    return Buffer.concat([half(scale), half(low), nibbles(values, (v) => (v - low) / scale)]);
  },
};

/** Values 0 to 15 in the low nibbles, 16 to 31 in the high ones. */
function nibbles(values: Float32Array, level: (value: number) => number): Buffer {
  const levels = [...values].map((v) => Math.min(15, Math.max(0, Math.round(level(v)) || 0)));
  return Buffer.from(levels.slice(0, 16).map((low, i) => low | ((levels[i + 16] ?? 0) << 4)));
}

/** The nearest half of a normal number, as a number. */
function rounded(value: number): number {
  if (value === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 10);
  return Math.round(value / unit) * unit;
}

function half(value: number): Buffer {
  const out = Buffer.alloc(2);
  const v = rounded(value);
  if (v !== 0) {
    const exponent = Math.floor(Math.log2(Math.abs(v)));
    const fraction = Math.round(Math.abs(v) / 2 ** (exponent - 10)) - 1024;
    out.writeUInt16LE((v < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | fraction);
  }
  return out;
}
