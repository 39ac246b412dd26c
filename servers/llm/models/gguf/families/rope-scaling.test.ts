import { expect, it } from "vitest";
import type { GgufValue } from "../header.js";
import { ArchMetadata } from "./arch-metadata.js";
import { ropeScaling } from "./rope-scaling.js";

function scaling(entries: Record<string, GgufValue>) {
  const prefixed = Object.entries(entries).map(([key, value]): [string, GgufValue] => [
    `qwen2.rope.${key}`,
    value,
  ]);
  const header = { path: "m.gguf", metadata: new Map(prefixed), tensors: new Map() };
  return ropeScaling(new ArchMetadata(header, "qwen2"), 2048);
}

it("is none where the file says nothing, none, or a factor of one", () => {
  expect(scaling({})).toBeUndefined();
  expect(scaling({ "scaling.type": "none", "scaling.factor": 4 })).toBeUndefined();
  expect(scaling({ "scaling.type": "linear", "scaling.factor": 1 })).toBeUndefined();
});

it("is linear for a factor, by its key or its old one", () => {
  const linear = { type: "linear", factor: 4, magnitude: 1 };
  expect(scaling({ "scaling.type": "linear", "scaling.factor": 4 })).toEqual(linear);
  expect(scaling({ scale_linear: 4 })).toEqual(linear);
  expect(scaling({ "scaling.factor": 4, "scaling.attn_factor": 2 })).toEqual({
    ...linear,
    magnitude: 2,
  });
});

it("is yarn over the original window, or the whole one", () => {
  const yarn = { type: "yarn", factor: 4, magnitude: 1, betaFast: 32, betaSlow: 1 };
  const entries = { "scaling.type": "yarn", "scaling.factor": 4 };
  expect(scaling(entries)).toEqual({ ...yarn, originalWindow: 2048 });
  const original = { ...entries, "scaling.original_context_length": 512 };
  expect(scaling(original)).toEqual({ ...yarn, originalWindow: 512 });
});
