import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Q8_BLOCK } from "../graph-weights.js";
import type { Q8Rows } from "../quantize.js";
import { pack, TYPE, type TypeName } from "../testing/pack.js";
import {
  GGML_TYPES,
  type GgmlType,
  ggmlTypeName,
  packedBytes,
  unpack,
  unpackToQ8,
} from "./types.js";

function type(name: TypeName): GgmlType {
  const row = GGML_TYPES.get(TYPE[name]);
  if (!row) throw new Error(name);
  return row;
}

function bytes(...parts: (number | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flat());
}

function valuesOf(q8: Q8Rows): number[] {
  return [...q8.bytes].map((byte, i) => {
    const block = Math.floor(i / Q8_BLOCK);
    return (byte - (q8.zeros[block] ?? 0)) * (q8.scales[block] ?? 0);
  });
}

function halfBytes(bits: number): Uint8Array {
  return bytes([bits & 255, bits >> 8]);
}

function greatestLoss(q8: Q8Rows, floats: Float32Array): number {
  return Math.max(...valuesOf(q8).map((value, i) => Math.abs(value - (floats[i] ?? 0))));
}

const HALF_ONE = [0x00, 0x3c];
const HALF_MINUS_TWO = [0x00, 0xc0];

/** How far values between -1 and 1 may be from what was packed. */
const NEAR: Readonly<Record<TypeName, number>> = {
  F32: 0,
  F16: 1e-3,
  BF16: 8e-3,
  Q8_0: 5e-3,
  Q6_K: 0.02,
  Q5_0: 0.04,
  Q5_1: 0.04,
  Q5_K: 0.05,
  Q4_0: 0.08,
  Q4_1: 0.08,
  Q4_K: 0.1,
  Q3_K: 0.25,
  Q2_K: 0.4,
};
const counting = Array.from({ length: 16 }, (_, i) => i);

describe("tensor types", () => {
  it("unpacks halves: normal, subnormal, zero, infinite", () => {
    const packed = bytes(
      HALF_ONE,
      HALF_MINUS_TWO,
      [1, 0],
      [0, 0],
      [0, 0x7c],
      [0xff, 0x7b],
      [0, 0x80],
    );
    expect([...unpack(type("F16"), packed)]).toEqual([
      1,
      -2,
      2 ** -24,
      0,
      Number.POSITIVE_INFINITY,
      65504,
      -0,
    ]);
  });

  it("unpacks Q8_0: a scale and 32 signed bytes", () => {
    const packed = bytes(
      HALF_MINUS_TWO,
      Array.from({ length: 32 }, (_, i) => (i === 0 ? 0x80 : i)),
    );
    const values = unpack(type("Q8_0"), packed);
    expect([values[0], values[1], values[31]]).toEqual([256, -2, -62]);
  });

  it("unpacks Q4_0 and Q4_1: low nibbles first, then high ones", () => {
    const nibbles = counting.map((i) => i | ((15 - i) << 4));
    const q40 = unpack(type("Q4_0"), bytes(HALF_ONE, nibbles));
    expect([...q40]).toEqual([...counting.map((i) => i - 8), ...counting.map((i) => 7 - i)]);
    const q41 = unpack(type("Q4_1"), bytes(HALF_ONE, HALF_MINUS_TWO, nibbles));
    expect([...q41]).toEqual([...counting.map((i) => i - 2), ...counting.map((i) => 13 - i)]);
  });

  it("turns what has no minimum into q8 without any loss", () => {
    for (const name of ["Q8_0", "Q4_0", "Q5_0"] as const) {
      const block = fc.uint8Array({ minLength: type(name).bytes, maxLength: type(name).bytes });
      fc.assert(
        fc.property(fc.array(block, { minLength: 1, maxLength: 4 }), (blocks) => {
          const packed = Buffer.concat(blocks.map((b) => bytes(HALF_ONE, [...b.subarray(2)])));
          const exact = unpack(type(name), packed);
          expect(valuesOf(unpackToQ8(type(name), packed)).map((v) => v + 0)).toEqual(
            [...exact].map((v) => v + 0),
          );
        }),
      );
    }
  });

  it("turns a minimum of whole levels into q8 without any loss", () => {
    for (const name of ["Q4_1", "Q5_1"] as const) {
      const levels = Array.from({ length: type(name).bytes - 4 }, (_, i) => (i * 37) & 255);
      const packed = bytes(HALF_ONE, HALF_MINUS_TWO, levels);
      expect(valuesOf(unpackToQ8(type(name), packed))).toEqual([...unpack(type(name), packed)]);
    }
  });

  it("loses no more of a block with a minimum than quantizing its floats would", () => {
    // Halves from 2^-8 to 1; minimums from none to what puts zero at the last level and beyond.
    const scale = fc.integer({ min: 0x1c00, max: 0x3c00 });
    const part = fc.double({ min: 0, max: 1.2, noNaN: true });
    const levels = fc.uint8Array({ minLength: 20, maxLength: 20 });
    fc.assert(
      fc.property(scale, part, levels, (d, zero, body) => {
        for (const [name, top] of [
          ["Q4_1", 15],
          ["Q5_1", 31],
        ] as const) {
          const [step = 0] = unpack(type("F16"), halfBytes(d));
          const minimum = pack("F16", Float32Array.of(-zero * top * step));
          const block = body.subarray(0, type(name).bytes - 4);
          const packed = Buffer.concat([halfBytes(d), minimum, block]);
          const floats = unpack(type(name), packed);
          const loss = greatestLoss(unpackToQ8(type(name), packed), floats);
          const whole = Float32Array.of(...floats, 0, ...new Float32Array(31));
          const range = Math.max(...whole) - Math.min(...whole);
          const most = Math.max(step / Math.floor(255 / top), range / 255) / 2;
          expect(loss).toBeLessThanOrEqual(most * 1.001);
        }
      }),
    );
  });

  it("quantizes anew what has its zero beyond a byte, though it were a whole level", () => {
    for (const minimum of [-300, 2]) {
      const packed = bytes(HALF_ONE, [...pack("F16", Float32Array.of(minimum))], counting);
      const q8 = unpackToQ8(type("Q4_1"), packed);
      const floats = unpack(type("Q4_1"), packed);
      expect(greatestLoss(q8, floats)).toBeLessThanOrEqual((Math.abs(minimum) + 15) / 255);
    }
  });

  it("keeps what is not finite so, for the reader to refuse", () => {
    const infinite = [0x00, 0x7c];
    const none = [0x00, 0x7e];
    for (const [d, m] of [
      [infinite, HALF_ONE],
      [HALF_ONE, infinite],
      [HALF_ONE, none],
    ] as const) {
      const q8 = unpackToQ8(type("Q4_1"), bytes(d, m, counting));
      expect(q8.scales[0]).toBeNaN();
    }
  });

  it("stays near the floats for every type that is packed", () => {
    const floats = Float32Array.from({ length: 512 }, (_, i) => Math.sin(i * 1.7));
    for (const name of Object.keys(TYPE) as TypeName[]) {
      const packed = pack(name, floats);
      expect(packed.length).toBe(packedBytes(type(name), floats.length));
      const values = unpack(type(name), packed);
      const q8 = valuesOf(unpackToQ8(type(name), packed));
      for (const [i, value] of floats.entries()) {
        expect(Math.abs((values[i] ?? 9) - value)).toBeLessThanOrEqual(NEAR[name]);
        expect(Math.abs((q8[i] ?? 9) - (values[i] ?? 0))).toBeLessThanOrEqual(5e-3);
      }
    }
  });

  it("names types that are not read", () => {
    expect(ggmlTypeName(15)).toBe("Q8_K");
    expect(ggmlTypeName(12)).toBe("Q4_K");
    expect(ggmlTypeName(3)).toBe("Q4_1");
    expect(ggmlTypeName(999)).toBe("number 999");
  });
});
