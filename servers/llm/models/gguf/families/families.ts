/** The families that can be read, by `general.architecture`. */
import type { Family } from "./family.js";
import { GEMMA } from "./gemma.js";
import { GEMMA2 } from "./gemma2.js";
import { GEMMA3 } from "./gemma3.js";
import { LLAMA } from "./llama.js";
import { QWEN2 } from "./qwen2.js";
import { QWEN3 } from "./qwen3.js";

export const FAMILIES: ReadonlyMap<string, Family> = new Map(
  [LLAMA, QWEN2, QWEN3, GEMMA, GEMMA2, GEMMA3].map((family) => [family.arch, family]),
);
