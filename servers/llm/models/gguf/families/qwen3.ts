/** Qwen 3: each head of q and k is normalized before it is rotated. */
import type { Family } from "./family.js";

export const QWEN3: Family = {
  arch: "qwen3",
  interleaved: false,
  rotaryFactors: false,
  biases: ["qkv"],
  features: () => ({ qkNorm: true }),
};
