import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { COMPILED_FILES } from "./compiled.js";
import { TINY_SHAPE, tinyModel } from "./tiny.js";
import { WindowSession } from "./window-session.js";

const LENGTH = 96;

it.each(["q8", "int8", "fp32"] as const)(
  "reads a window in parts to the same logits, %s",
  async (recipe) => {
    const dir = await mkdtemp(join(tmpdir(), "contix-window-"));
    try {
      const graph = join(await tinyModel(dir, { recipe }), COMPILED_FILES.graph);
      const windows = [3, 5].map((step) => Array.from({ length: LENGTH }, (_, i) => i * step));
      const logitsOf = async (part: number): Promise<number[]> => {
        const shape = {
          shape: TINY_SHAPE,
          length: LENGTH,
          part,
          logits: "all",
          threads: 2,
        } as const;
        const session = await WindowSession.open(graph, shape);
        const out: number[] = [];
        for (const window of windows) {
          for (let at = 0; at < LENGTH; at += part) {
            await session.read(window, at);
            out.push(...session.logits);
          }
        }
        session.close();
        return out;
      };
      const whole = await logitsOf(LENGTH);
      expect(whole).toHaveLength(2 * LENGTH * TINY_SHAPE.vocab);
      expect(whole.slice(0, TINY_SHAPE.vocab)).not.toEqual(whole.slice(-TINY_SHAPE.vocab));
      for (const part of [48, 32]) expect(await logitsOf(part)).toEqual(whole);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  },
);
