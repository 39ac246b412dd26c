/** Models by name, through the model library. */

import type { Recipe } from "../../servers/llm/models/compiled.js";
import { openLibrary } from "../../servers/llm/models/library.js";

/** The directory of a compiled model; compiles it when it is not there. */
export async function compiledModel(name: string, recipe: Recipe = "q8"): Promise<string> {
  return (await openLibrary()).compiled(name, { recipe });
}

/** The GGUF that a model was imported from. */
export async function ggufOf(name: string): Promise<string> {
  return (await (await openLibrary()).resolve(name)).ggufPath;
}
