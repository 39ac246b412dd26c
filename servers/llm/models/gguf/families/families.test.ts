import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ContixError } from "../../../../../proto/errno.js";
import { type FamilySpec, familyFile } from "../../testing/family-gguf.js";
import { FAMILY_SPECS } from "../../testing/family-specs.js";
import { type GgufFile, ggufBytes, type WriterValue } from "../../testing/gguf-writer.js";
import { readGgufHeader } from "../header.js";
import { decoderShape } from "../model.js";
import { openGgufWeights } from "../source.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-families-"));
});
afterAll(() => rm(dir, { recursive: true }));

async function shapeOf(file: GgufFile) {
  const path = join(dir, "model.gguf");
  await writeFile(path, ggufBytes(file));
  return decoderShape(await readGgufHeader(path));
}

async function refusal(file: GgufFile): Promise<string> {
  try {
    await shapeOf(file);
  } catch (error) {
    if (error instanceof ContixError && error.code === "EMODEL") return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

/** `file` with other metadata of its architecture. */
function withEntries(file: GgufFile, arch: string, entries: Record<string, WriterValue>): GgufFile {
  const prefixed = Object.entries(entries).map(([key, value]) => [`${arch}.${key}`, value]);
  return { ...file, metadata: { ...file.metadata, ...Object.fromEntries(prefixed) } };
}

/** Tensors whose absence is a variant of the family, not a fault. */
const OPTIONAL = /^(output\.(weight|bias)|rope_freqs\.weight)$/;

/** One spec for each architecture, that with the most in it. */
const WHOLE: readonly FamilySpec[] = [
  "llama, biases everywhere",
  "qwen2, yarn",
  "qwen3",
  "gemma",
  "gemma2",
  "gemma3",
].flatMap((name) => FAMILY_SPECS[name] ?? []);

describe.each(Object.entries(FAMILY_SPECS))("%s", (_, spec) => {
  it("gives its shape", async () => {
    expect(await shapeOf(await familyFile(spec))).toEqual(spec.shape);
  });
});

describe.each(WHOLE.map((spec) => [spec.arch, spec] as const))("%s is refused", (arch, spec) => {
  let file: GgufFile;
  beforeAll(async () => {
    file = await familyFile(spec);
  });

  it("without any one of its tensors, by name", async () => {
    for (const { name } of file.tensors.filter((tensor) => !OPTIONAL.test(tensor.name))) {
      const tensors = file.tensors.filter((tensor) => tensor.name !== name);
      const kind = name.replace(/^blk\.\d+\./, "");
      expect(await refusal({ ...file, tensors }), name).toContain(kind);
    }
  });

  it("with any tensor of another shape, by name", async () => {
    for (const { name } of file.tensors) {
      const tensors = file.tensors.map((tensor) => {
        if (tensor.name !== name) return tensor;
        const [cols = 0, rows] = tensor.shape;
        return { ...tensor, shape: rows === undefined ? [cols / 2, 2] : [cols * 2, rows / 2] };
      });
      expect(await refusal({ ...file, tensors }), name).toContain(`tensor "${name}" of shape`);
    }
  });

  it("with a tensor of another family", async () => {
    for (const name of [
      "blk.0.ffn_gate_inp.weight",
      "blk.1.attn_qkv.weight",
      "rope_short.weight",
    ]) {
      const extra = { name, type: 0, shape: [2], data: Buffer.alloc(8) };
      const tensors = [...file.tensors, extra];
      expect(await refusal({ ...file, tensors })).toContain(`a tensor "${name}"`);
    }
  });

  it("for absurd numbers, and for variants, by key", async () => {
    const cases: readonly (readonly [string, WriterValue])[] = [
      ["context_length", { u32: 0 }],
      ["context_length", { u32: 4_000_000_000 }],
      ["block_count", { u32: 0 }],
      ["block_count", { u32: 1_000_000_000 }],
      ["embedding_length", { u32: 0 }],
      ["feed_forward_length", { u32: 0 }],
      ["feed_forward_length", { i32s: [128, 192] }],
      ["attention.head_count", { u32: 0 }],
      ["attention.head_count_kv", { u32: 0 }],
      ["attention.head_count_kv", { i32s: [1, 2] }],
      ["attention.key_length", { u32: 0 }],
      ["attention.value_length", { u32: 16 }],
      ["attention.layer_norm_rms_epsilon", { f32: Number.NaN }],
      ["attention.causal", false],
      ["rope.freq_base", { f32: 0 }],
      ["rope.freq_base", { f32: 1 }],
      ["rope.freq_base", { f32: Number.POSITIVE_INFINITY }],
      ["rope.dimension_count", { u32: 8 }],
      ["rope.scaling.type", "longrope"],
      ["rope.scaling.type", { u32: 2 }],
      ["rope.scaling.factor", { f32: -1 }],
      ["rope.scaling.factor", { f32: 0 }],
      ["rope.scaling.factor", { f32: 1e9 }],
      ["rope.scaling.attn_factor", { f32: 1e38 }],
      ["expert_count", { u32: 8 }],
    ];
    for (const [key, value] of cases) {
      const changed = withEntries(file, arch, { [key]: value });
      expect(await refusal(changed), key).toContain(`${arch}.${key}`);
    }
  });

  it("for sizes that no kernel takes", async () => {
    for (const [entries, message] of [
      [{ "attention.key_length": { u32: 24 } }, /head size 24/],
      [{ "attention.head_count_kv": { u32: 3 } }, /4 heads over 3 key heads/],
      [{ embedding_length: { u32: 100 } }, /hidden size 100/],
      [{ feed_forward_length: { u32: 100 } }, /feed-forward size 100/],
    ] as const) {
      expect(await refusal(withEntries(file, arch, entries))).toMatch(message);
    }
  });

  it("when its vocabulary has other rows than its tokenizer tokens", async () => {
    const tokens = file.metadata["tokenizer.ggml.tokens"];
    if (typeof tokens !== "object" || !("texts" in tokens)) throw new Error("no tokens");
    const fewer = { ...file.metadata, "tokenizer.ggml.tokens": { texts: tokens.texts.slice(1) } };
    expect(await refusal({ ...file, metadata: fewer })).toMatch(/vocabulary mismatch/);
  });
});

describe("local layers", () => {
  it("need a window and a list for every layer", async () => {
    for (const name of ["gemma2", "gemma3"]) {
      const spec = FAMILY_SPECS[name];
      if (!spec) throw new Error(name);
      const file = await familyFile(spec);
      for (const [key, value, why] of [
        ["attention.sliding_window", { u32: 0 }, "it is 0"],
        ["attention.sliding_window", "all", '"all"'],
        ["attention.sliding_window_pattern", { flags: [true] }, "1 entries for"],
        ["attention.sliding_window_pattern", { u32: 0 }, "it is 0"],
        ["attention.sliding_window_pattern", { texts: ["x"] }, "true or false"],
        ["rope.freq_base_swa", { f32: 0 }, "a positive number"],
        ["rope.freq_base_swa", { f32: 0.5 }, "no base of frequencies"],
        ["final_logit_softcapping", { f32: -3 }, "a positive number"],
      ] as const) {
        const message = await refusal(withEntries(file, spec.arch, { [key]: value }));
        expect(message).toContain(key);
        expect(message).toContain(why);
      }
    }
  });

  it("are none where Gemma 3 has no window", async () => {
    const spec = FAMILY_SPECS.gemma3;
    if (!spec) throw new Error("gemma3");
    const shape = await shapeOf(await familyFile({ ...spec, entries: {} }));
    expect(shape.local).toBeUndefined();
  });
});

it("refuses divisors of rotary frequencies that are not positive", async () => {
  const spec = FAMILY_SPECS["llama, llama 3 rotary factors"];
  if (!spec?.rotaryFactors) throw new Error("no factors");
  const path = join(dir, "factors.gguf");
  const file = await familyFile({ ...spec, rotaryFactors: spec.rotaryFactors.map(() => 0) });
  await writeFile(path, ggufBytes(file));
  await using source = await openGgufWeights(await readGgufHeader(path), spec.shape);
  await expect(source.rotaryFactors()).rejects.toThrow(/rope_freqs.weight" that is not positive/);
});

it("a model that claims more positions than tables are made for is cut", async () => {
  const spec = FAMILY_SPECS.qwen3;
  if (!spec) throw new Error("qwen3");
  const long = withEntries(await familyFile(spec), "qwen3", { context_length: { u32: 1 << 18 } });
  expect((await shapeOf(long)).window).toBe(1 << 17);
});
