import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ContixError } from "../../../../proto/errno.js";
import { type GgufFile, ggufBytes, type WriterValue } from "../testing/gguf-writer.js";
import { llamaFile, SMALL_SHAPE } from "../testing/llama-gguf.js";
import { readGgufHeader } from "./header.js";
import { decoderShape } from "./model.js";
import { modelText } from "./text.js";

let dir: string;
let file: GgufFile;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-gguf-"));
  file = await llamaFile();
});
afterAll(() => rm(dir, { recursive: true }));

async function header(changed: GgufFile) {
  const path = join(dir, "model.gguf");
  await writeFile(path, ggufBytes(changed));
  return readGgufHeader(path);
}

function withMetadata(changes: Readonly<Record<string, WriterValue | undefined>>): GgufFile {
  const entries = Object.entries({ ...file.metadata, ...changes });
  const kept = entries.filter((entry): entry is [string, WriterValue] => entry[1] !== undefined);
  return { ...file, metadata: Object.fromEntries(kept) };
}

function withTensor(name: string, changes: { shape?: number[]; type?: number } | null): GgufFile {
  const tensors = file.tensors.flatMap((tensor) => {
    if (tensor.name !== name) return [tensor];
    return changes ? [{ ...tensor, ...changes }] : [];
  });
  return { ...file, tensors };
}

async function refusal(changed: GgufFile): Promise<string> {
  try {
    const read = await header(changed);
    decoderShape(read);
    modelText(read);
  } catch (error) {
    if (error instanceof ContixError && error.code === "EMODEL") return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("a llama GGUF", () => {
  it("gives its shape", async () => {
    const epsilon = Math.fround(SMALL_SHAPE.normEps);
    expect(decoderShape(await header(file))).toEqual({ ...SMALL_SHAPE, normEps: epsilon });
  });

  it("is refused, by name, for what its metadata says", async () => {
    const cases: [Record<string, WriterValue | undefined>, RegExp][] = [
      [{ "general.architecture": "mamba" }, /architecture "mamba"; those that can be read: llama/],
      [{ "general.architecture": undefined }, /no metadata "general.architecture"/],
      [{ "llama.block_count": undefined }, /no metadata "llama.block_count"/],
      [{ "llama.block_count": "two" }, /"two" as metadata "llama.block_count"/],
      [{ "llama.expert_count": { u32: 8 } }, /mixture of experts/],
      [{ "llama.rope.scaling.type": "longrope" }, /llama.rope.scaling.type: "longrope"; .* yarn/],
      [{ "llama.rope.dimension_count": { u32: 16 } }, /llama.rope.dimension_count: 16; only 32/],
      [{ "llama.attention.head_count": { u32: 3 } }, /unusable shape: head size/],
      [{ "llama.vocab_size": { u32: 500 } }, /says 500 tokens of vocabulary.* has 512/],
      [{ "tokenizer.ggml.model": "odd" }, /tokenizer.ggml.model: "odd"/],
      [{ "tokenizer.ggml.pre": "odd" }, /tokenizer.ggml.pre: "odd"; .*smollm/],
      [{ "tokenizer.ggml.eos_token_id": { u32: 512 } }, /eos_token_id: 512 of 512 tokens/],
      [{ "tokenizer.ggml.token_type": { i32s: [1] } }, /vocabulary mismatch: 1 types for 512/],
      [{ "tokenizer.ggml.merges": { texts: ["a b", "ab"] } }, /merges\[1\]: "ab" is no pair/],
    ];
    for (const [changes, message] of cases) {
      expect(await refusal(withMetadata(changes))).toMatch(message);
    }
  });

  it("is refused, by name, for a tensor", async () => {
    expect(await refusal(withTensor("blk.1.ffn_up.weight", null))).toMatch(
      /no tensor "blk.1.ffn_up.weight"/,
    );
    expect(await refusal(withTensor("blk.0.ffn_up.weight", { shape: [256, 128] }))).toMatch(
      /tensor "blk.0.ffn_up.weight" of shape \[256, 128\] where \[128, 256\] is expected/,
    );
    expect(await refusal(withTensor("blk.0.attn_q.weight", { type: 16 }))).toMatch(
      /tensor "blk.0.attn_q.weight" is of type IQ2_XXS; known are F32, F16, /,
    );
    expect(await refusal(withTensor("blk.0.attn_q.weight", { type: 99 }))).toMatch(/number 99/);
    const extra = { name: "blk.0.attn_q_norm.weight", type: 0, shape: [1], data: Buffer.alloc(4) };
    expect(await refusal({ ...file, tensors: [...file.tensors, extra] })).toMatch(
      /tensor "blk.0.attn_q_norm.weight" that this architecture does not have/,
    );
  });

  it("is refused when vocabulary and embedding differ", async () => {
    const changed = withMetadata({ "llama.vocab_size": { u32: 511 } });
    const tokens = changed.metadata["tokenizer.ggml.tokens"];
    if (typeof tokens !== "object" || !("texts" in tokens)) throw new Error("no tokens");
    const fewer = { texts: tokens.texts.slice(0, 511) };
    const metadata = { ...changed.metadata, "tokenizer.ggml.tokens": fewer };
    expect(await refusal({ ...changed, metadata })).toMatch(
      /"token_embd.weight" of shape \[128, 512\] where \[128, 511\] is expected \(vocabulary mismatch/,
    );
    const twice = { texts: [...tokens.texts.slice(0, 511), tokens.texts[0] ?? ""] };
    expect(await refusal(withMetadata({ "tokenizer.ggml.tokens": twice }))).toMatch(
      /vocabulary mismatch: 0 and 511 are both/,
    );
  });
});

describe("a GGUF's tokenizer", () => {
  it("finds every end token, by id and by name", async () => {
    const text = modelText(await header(file));
    expect(text).toMatchObject({ bosId: 257, addBos: false, eosIds: [258, 256] });
    expect(text.chatTemplate).toMatch(/im_start/);
    const bare = { "tokenizer.chat_template": undefined, "tokenizer.ggml.bos_token_id": undefined };
    const plain = modelText(await header(withMetadata(bare)));
    expect(plain).toMatchObject({ bosId: null, chatTemplate: null });
  });

  it("takes special tokens whole, and hides them from decoded text", async () => {
    const { tokenizer } = modelText(await header(file));
    const ready = new Tokenizer(tokenizer, {});
    const { ids } = ready.encode("hi<|im_end|>", { add_special_tokens: false });
    expect(ids.at(-1)).toBe(258);
    expect(ready.decode(ids, { skip_special_tokens: true })).toBe("hi");
  });
});
