/** A GGUF file with so many weights that its import can be met in the middle, and is measured. */
import { familyFile } from "../../servers/llm/models/testing/family-gguf.js";
import { FAMILY_SPECS } from "../../servers/llm/models/testing/family-specs.js";
import { ggufBytes } from "../../servers/llm/models/testing/gguf-writer.js";

/** 78 MB: 19 million weights in F32, on a short window, so that reading a text takes little. */
export async function largeGguf(): Promise<Buffer> {
  const { llama } = FAMILY_SPECS;
  if (!llama) throw new Error("the family llama is gone");
  const shape = { ...llama.shape, hidden: 512, ffn: 6144 };
  return ggufBytes(await familyFile({ ...llama, shape }));
}
