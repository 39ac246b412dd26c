/** The export on the tiny model, run through onnxruntime-node as the library would. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { tinyModel } from "../../servers/llm/models/tiny.js";
import { exportForHub } from "./hub-export.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "contix-hub-test-"));
  vi.stubEnv("CONTIX_BENCH_CACHE", join(folder, "cache"));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** Logits of the last place of each row, and the cache. */
async function run(session: InferenceSession, ids: number[][], past: Record<string, Tensor>) {
  const pasts = Object.values(past);
  const before = Number(pasts[0]?.dims[2] ?? 0);
  const length = ids[0]?.length ?? 0;
  const int64 = (data: number[], width: number) =>
    new Tensor("int64", BigInt64Array.from(data, BigInt), [ids.length, width]);
  const outputs = await session.run({
    input_ids: int64(ids.flat(), length),
    attention_mask: int64(new Array(ids.length * (before + length)).fill(1), before + length),
    ...past,
  });
  const cache = Object.entries(outputs).flatMap(([name, tensor]) =>
    name.startsWith("present.") ? [[name.replace("present", "past_key_values"), tensor]] : [],
  );
  return { logits: outputs.logits, cache: Object.fromEntries(cache) as Record<string, Tensor> };
}

function emptyCache(session: InferenceSession, rows: number): Record<string, Tensor> {
  const entries = session.inputMetadata.flatMap((metadata) => {
    if (!metadata.isTensor || !metadata.name.startsWith("past_")) return [];
    const [batch, heads, positions, headDim] = metadata.shape;
    expect([batch, positions]).toEqual(["batch_size", "past_sequence_length"]);
    const dims = [rows, Number(heads), 0, Number(headDim)];
    return [[metadata.name, new Tensor("float32", new Float32Array(0), dims)]];
  });
  return Object.fromEntries(entries);
}

test("an export takes a mask and gives the logits of the last place, in batches as alone", async () => {
  const dir = await tinyModel(join(folder, "models"));
  const { folder: root, name } = await exportForHub(dir, "q8");
  const again = await exportForHub(dir, "q8");
  expect(again).toEqual({ folder: root, name, dtype: "q8" });
  const session = await InferenceSession.create(join(root, name, "onnx", "model_quantized.onnx"));
  try {
    const prompts = [
      [1, 2, 3, 4],
      [9, 8, 7, 6],
    ];
    const both = await run(session, prompts, emptyCache(session, 2));
    expect(both.logits?.dims).toEqual([2, 1, 512]);
    const next = await run(session, [[5], [5]], both.cache);
    const alone = await run(session, prompts.slice(1), emptyCache(session, 1));
    const nextAlone = await run(session, [[5]], alone.cache);
    const second = (tensor: Tensor | undefined) =>
      Array.from(tensor?.data as Float32Array).slice(512);
    expect(second(both.logits)).toEqual(Array.from(alone.logits?.data as Float32Array));
    expect(second(next.logits)).toEqual(Array.from(nextAlone.logits?.data as Float32Array));
  } finally {
    await session.release();
  }
});
