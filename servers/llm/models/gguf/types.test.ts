import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Q8_BLOCK } from "../graph-weights.js";
import type { Q8Rows } from "../quantize.js";
import { pack, TYPE, type TypeName } from "../testing/pack.js";
import { GGML_TYPES, type GgmlType, ggmlTypeName, unpack, unpackToQ8 } from "./types.js";

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

const HALF_ONE = [0x00, 0x3c];
const HALF_MINUS_TWO = [0x00, 0xc0];
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

  it("turns Q8_0 and Q4_0 into q8 without any loss", () => {
    for (const name of ["Q8_0", "Q4_0"] as const) {
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

  it("stays near the floats for every type that is packed", () => {
    const floats = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * 1.7));
    const bound = { F32: 0, F16: 1e-3, Q8_0: 5e-3, Q4_0: 0.08, Q4_1: 0.08 };
    for (const name of Object.keys(bound) as TypeName[]) {
      const packed = pack(name, floats);
      expect(packed.length).toBe((64 / type(name).values) * type(name).bytes);
      const values = unpack(type(name), packed);
      const q8 = valuesOf(unpackToQ8(type(name), packed));
      for (const [i, value] of floats.entries()) {
        expect(Math.abs((values[i] ?? 9) - value)).toBeLessThanOrEqual(bound[name]);
        expect(Math.abs((q8[i] ?? 9) - (values[i] ?? 0))).toBeLessThanOrEqual(5e-3);
      }
    }
  });

  it("names types that are not read", () => {
    expect(ggmlTypeName(12)).toBe("Q4_K");
    expect(ggmlTypeName(3)).toBe("Q4_1");
    expect(ggmlTypeName(999)).toBe("number 999");
  });
});
