/**
 * Every tensor type against the dequantization of PyPI's `gguf`, bit by bit, on
 * blocks of random bytes whose scales are any finite halves.
 */
import { describe, expect, it } from "vitest";
import { GGML_TYPES, type GgmlType, ownQ8, unpack } from "../../servers/llm/models/gguf/types.js";
import type { Q8Rows } from "../../servers/llm/models/quantize.js";
import { findPython, type Python } from "./support/python.js";

const SEED = Number(process.env.CONTIX_SEED ?? 1);
const BLOCKS = 2_000;

/** Where the halves of a block are: any bytes elsewhere are valid. */
const HALVES: Readonly<Record<string, readonly number[]>> = {
  F16: [0],
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
};

const EXACT_IN_Q8: ReadonlySet<string> = new Set(["Q4_0", "Q5_0", "Q8_0"]);

/** 0, the least and the greatest of the subnormal and of the normal halves. */
const EXTREMES = [0x0000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0x7bff];

const DEQUANTIZE = `
import sys, numpy
from gguf import GGMLQuantizationType, quants
packed = numpy.frombuffer(sys.stdin.buffer.read(), dtype=numpy.uint8)
values = quants.dequantize(packed, GGMLQuantizationType[sys.argv[1]])
sys.stdout.buffer.write(values.astype(numpy.float32, copy=False).tobytes())
`;

const python = await findPython();

describe.skipIf(!python)("tensor types", () => {
  it.each([...GGML_TYPES.values()])(
    "$name is unpacked to the bits of PyPI's gguf",
    async (type) => {
      const packed = blocks(type, BLOCKS);
      const expected = bits(await dequantized(python, type.name, packed));
      expectSame(bits(unpack(type, packed)), expected);
      const q8 = EXACT_IN_Q8.has(type.name) && ownQ8(type, packed);
      if (q8) expectSame(bits(valuesOf(q8)), expected);
    },
  );

  it("F16 is read for every half, but for the payload of what is no number", async () => {
    const every = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const packed = new Uint8Array(every.buffer);
    const expected = await dequantized(python, "F16", packed);
    const type = GGML_TYPES.get(1);
    if (!type) throw new Error("F16 is not read");
    const read = unpack(type, packed);
    // One NaN stands for all; it is no number's bits.
    const numbers = (values: Float32Array) => bits(values.map((v) => (Number.isNaN(v) ? NaN : v)));
    expectSame(numbers(read), numbers(expected));
  });
});

async function dequantized(
  from: Python | undefined,
  type: string,
  packed: Uint8Array,
): Promise<Float32Array> {
  if (!from) throw new Error("no Python");
  const bytes = await from.run(DEQUANTIZE, [type], packed);
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** Blocks of random bytes; each half an extreme one in a third of them. */
function blocks(type: GgmlType, count: number): Uint8Array {
  const random = generator(SEED);
  const packed = Uint8Array.from({ length: count * type.bytes }, () => random() & 255);
  const view = new DataView(packed.buffer);
  for (let at = 0; at < packed.length; at += type.bytes) {
    for (const half of HALVES[type.name] ?? []) view.setUint16(at + half, finiteHalf(random), true);
  }
  return packed;
}

function finiteHalf(random: () => number): number {
  const sign = random() & 0x8000;
  if (random() % 3 === 0) return sign | (EXTREMES[random() % EXTREMES.length] ?? 0);
  return sign | (random() % 0x7c00);
}

/** 32 random bits at a time (mulberry32, by Tommy Ettinger, in the public domain). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return (x ^ (x >>> 14)) >>> 0;
  };
}

function valuesOf({ bytes, scales, zeros }: Q8Rows): Float32Array {
  return Float32Array.from(bytes, (byte, i) => {
    const block = i >> 5;
    return (byte - (zeros[block] ?? 0)) * (scales[block] ?? 0);
  });
}

function bits(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function expectSame(actual: Uint32Array, expected: Uint32Array): void {
  expect(actual.length).toBe(expected.length);
  const at = actual.findIndex((value, i) => value !== expected[i]);
  const where = `seed ${SEED}: value ${at} is ${actual[at]}, not ${expected[at]}`;
  expect(at, where).toBe(-1);
}
