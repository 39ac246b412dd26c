/** Files of PyPI's `gguf` writer, read back: metadata of every kind, tensors of its own packing. */
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GgufHeader, readGgufHeader } from "../../servers/llm/models/gguf/header.js";
import { GgufWeights } from "../../servers/llm/models/gguf/source.js";
import { findPython } from "./support/python.js";

/** Writes a file to the first argument; prints the tensors' values, dequantized, as JSON. */
const WRITE = `
import sys, json, numpy
from gguf import GGUFWriter, GGMLQuantizationType as T, quants
writer = GGUFWriter(sys.argv[1], "llama")
writer.add_custom_alignment(64)
writer.add_uint8("u8", 255); writer.add_int8("i8", -128)
writer.add_uint16("u16", 65535); writer.add_int16("i16", -32768)
writer.add_uint32("u32", 2**32 - 1); writer.add_int32("i32", -2**31)
writer.add_uint64("u64", 2**53 - 1); writer.add_int64("i64", -2**53 + 1)
writer.add_float32("f32", 0.1); writer.add_float64("f64", 0.1)
writer.add_bool("yes", True); writer.add_bool("no", False)
writer.add_string("text", "Grüße, 世界")
writer.add_array("texts", ["a", "b", "ü"])
writer.add_array("ints", [1, -2, 3]); writer.add_array("floats", [0.5, -1.5])
writer.add_array("bools", [True, False])
random = numpy.random.default_rng(1)
values = {}
for name in ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]:
    floats = random.standard_normal((3, 64), dtype=numpy.float32)
    packed = quants.quantize(floats, T[name])
    raw = None if name in ("F32", "F16") else T[name]
    writer.add_tensor(name, packed, raw_dtype=raw)
    values[name] = quants.dequantize(packed, T[name]).ravel().tolist()
writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file()
writer.close()
print(json.dumps(values))
`;

const python = await findPython();

describe.skipIf(!python)("a file of PyPI's gguf", () => {
  let dir: string;
  let header: GgufHeader;
  let values: Record<string, number[]>;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "contix-pypi-"));
    const path = join(dir, "x.gguf");
    values = JSON.parse(String(await python?.run(WRITE, [path])));
    header = await readGgufHeader(path);
  });
  afterAll(() => rm(dir, { recursive: true }));

  it("has metadata of every kind", () => {
    expect(Object.fromEntries(header.metadata)).toEqual({
      "general.architecture": "llama",
      "general.alignment": 64,
      u8: 255,
      i8: -128,
      u16: 65_535,
      i16: -32_768,
      u32: 2 ** 32 - 1,
      i32: -(2 ** 31),
      u64: 2 ** 53 - 1,
      i64: -(2 ** 53) + 1,
      f32: Math.fround(0.1),
      f64: 0.1,
      yes: true,
      no: false,
      text: "Grüße, 世界",
      texts: ["a", "b", "ü"],
      ints: [1, -2, 3],
      floats: [0.5, -1.5],
      bools: [true, false],
    });
  });

  it("has tensors of every type that it can pack", async () => {
    await using weights = new GgufWeights(header, undefined, await open(header.path));
    expect([...header.tensors.keys()]).toEqual(Object.keys(values));
    for (const [name, expected] of Object.entries(values)) {
      expect(header.tensors.get(name)?.shape).toEqual([64, 3]);
      expect([...(await weights.rows(name, 0, 3))], name).toEqual(expected);
    }
  });
});
