/** Models by name, through the model library. */
import { ensureModel } from "../../cli/commands/model.js";
import { type KvFormat, type Recipe, readCompiled } from "../../servers/llm/models/compiled.js";
import { openLibrary } from "../../servers/llm/models/library.js";

/** How a model is compiled; what is not said is the library's choice. */
export interface Variant {
  readonly recipe?: Recipe;
  readonly kv?: KvFormat;
}

/** The directory of a compiled model; pulls and compiles it when it is not there. */
export function compiledModel(name: string, variant: Variant = {}): Promise<string> {
  return ensureModel(name, variant);
}

/**
 * The same, but only what was asked for.
 * @returns undefined when this build compiles the model in another way than asked
 */
export async function exactly(name: string, variant: Variant): Promise<string | undefined> {
  try {
    const dir = await compiledModel(name, variant);
    const config = await readCompiled(dir);
    const { recipe = config.recipe, kv = config.kv } = variant;
    return config.recipe === recipe && config.kv === kv ? dir : undefined;
  } catch (error) {
    process.stderr.write(`${name} with ${JSON.stringify(variant)}: ${error}\n`);
    return undefined;
  }
}

/** The GGUF that a model was compiled from. */
export async function ggufOf(name: string): Promise<string> {
  return (await openLibrary().resolve(name)).path;
}
