/** llama 1 to 3, and what is built like them: SmolLM, Mistral, TinyLlama, Yi, … */
import type { Family } from "./family.js";

export const LLAMA: Family = {
  arch: "llama",
  interleaved: true,
  rotaryFactors: true,
  biases: ["qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
  features: () => ({}),
};
