/** An import streams: however large a model is, little of it is in memory at once. */
import { execFile } from "node:child_process";
import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { openLibrary } from "./library.js";
import { ggufHead, type WriterEntry } from "./testing/gguf-writer.js";
import { llamaFile, SMALL_SHAPE } from "./testing/llama-gguf.js";
import { TYPE } from "./testing/pack.js";

const IMPORT = fileURLToPath(new URL("testing/import-here.ts", import.meta.url));
const MIB = 2 ** 20;
/** Three matrices of 64 MiB, in floats of two bytes: twice that each once they are unpacked. */
const FFN = 2 ** 18;
/** Less than any of them unpacked, and twice what a stream and its garbage take. */
const BOUND = 112 * MIB;

/** A model of one layer whose weights are zeros, so that nobody has to write them. */
async function largeFile(path: string): Promise<number> {
  const { metadata, tensors } = await llamaFile();
  const small = tensors.filter(({ name }) => !/blk\.1|ffn_(gate|up|down)/.test(name));
  const large = ["gate", "up", "down"].map((name): WriterEntry => {
    const { hidden } = SMALL_SHAPE;
    const shape = name === "down" ? [FFN, hidden] : [hidden, FFN];
    const data = { length: 2 * hidden * FFN };
    return { name: `blk.0.ffn_${name}.weight`, type: TYPE.F16, shape, data };
  });
  const sizes = { "llama.block_count": { u32: 1 }, "llama.feed_forward_length": { u32: FFN } };
  const file = { metadata: { ...metadata, ...sizes }, tensors: [...small, ...large] };
  const { head, length } = ggufHead(file);
  const handle = await open(path, "wx");
  await handle.write(head);
  await handle.truncate(length);
  await handle.close();
  return length;
}

it.runIf(process.platform === "linux")(
  "of 192 MiB of weights takes less memory than one of its matrices",
  async () => {
    const dir = await mkdtemp(join(tmpdir(), "contix-large-"));
    try {
      const file = join(dir, "large.gguf");
      expect(await largeFile(file)).toBeGreaterThan(192 * MIB);
      const root = join(dir, "library");
      const args = ["--import", "tsx", IMPORT, root, file];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const { before, most } = JSON.parse(stdout);
      expect(before).toBeGreaterThan(MIB);
      expect(most - before).toBeLessThan(BOUND);
      const compiled = await openLibrary(root).compiled("big", { recipe: "q8" });
      // A byte for each weight at least: they were all there.
      expect((await stat(join(compiled, "weights.bin"))).size).toBeGreaterThan(96 * MIB);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  },
);
