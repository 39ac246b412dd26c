/** Models by name, through the model library. */
import { ensureModel } from "../../cli/commands/model.js";
import type { Recipe } from "../../servers/llm/models/compiled.js";
import { openLibrary } from "../../servers/llm/models/library.js";

/** The directory of a compiled model; pulls and compiles it when it is not there. */
export function compiledModel(name: string, recipe: Recipe = "q8"): Promise<string> {
  return ensureModel(name, { recipe });
}

/** The GGUF that a model was compiled from. */
export async function ggufOf(name: string): Promise<string> {
  return (await openLibrary().resolve(name)).ggufPath;
}
