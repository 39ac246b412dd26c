/** Qwen 1.5, 2 and 2.5: llama with biases of q, k and v. */
import type { Family } from "./family.js";

export const QWEN2: Family = {
  arch: "qwen2",
  interleaved: false,
  rotaryFactors: false,
  biases: ["qkv", "output"],
  features: () => ({}),
};
