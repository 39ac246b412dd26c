/** `contix model …`: the model library on the command line. */
import type { Command } from "commander";
import { findInCatalog } from "../../servers/llm/models/catalog.js";
import type { KvFormat, Recipe } from "../../servers/llm/models/compiled.js";
import { type Library, openLibrary } from "../../servers/llm/models/library.js";
import type { Manifest } from "../../servers/llm/models/manifest.js";
import type { WorkOptions } from "../../servers/llm/models/options.js";
import {
  registerCopy,
  registerExport,
  registerGc,
  registerRemove,
  registerVerify,
} from "./model-keep.js";
import { choiceText, examples } from "./model-output.js";
import { ProgressView } from "./model-progress.js";
import { registerImport, registerPull } from "./model-pull.js";
import { registerList, registerPath, registerShow } from "./model-show.js";

export interface EnsureOptions {
  readonly library?: Library;
  readonly recipe?: Recipe | undefined;
  readonly kv?: KvFormat | undefined;
  readonly signal?: AbortSignal;
  /** Shows nothing; only errors are thrown. */
  readonly quiet?: boolean;
  /** Instead of the progress that would be shown. */
  readonly onProgress?: WorkOptions["onProgress"];
  readonly onNote?: WorkOptions["onNote"];
}

/**
 * The directory of the compiled model `name`: pulls it when it is not in the
 * library, and compiles it when it is not compiled. Progress goes to stderr.
 * @throws ContixError EMODEL for an unknown name or a file that can not be read,
 * EIO when it can not be pulled, ENOSPC; AbortError.
 */
export async function ensureModel(name: string, options: EnsureOptions = {}): Promise<string> {
  const { library = openLibrary(), recipe, kv, signal } = options;
  using view = new ProgressView(name);
  const onNote = options.onNote ?? (options.quiet ? undefined : (line) => view.note(line));
  const work: WorkOptions = {
    signal,
    onProgress: options.onProgress ?? (options.quiet ? undefined : (p) => view.update(p)),
    onNote,
    onChoice: (choice) => onNote?.(`chosen ${choiceText(choice)}`),
  };
  if (needsPull(name, await library.list())) await library.pull(name, work);
  return library.compiled(name, { ...work, recipe, kv });
}

/** Whether only a pull can bring `name`; of what it means otherwise `compiled` knows more. */
function needsPull(name: string, here: readonly Manifest[]): boolean {
  const entry = findInCatalog(openLibrary().catalog, name);
  return entry !== undefined && !here.some((manifest) => manifest.name === entry.name);
}

/** Adds `contix model` and its commands. */
export function registerModelCommands(program: Command): void {
  const model = program
    .command("model")
    .description("Pull, list, show, import, export, verify and remove models.")
    .addHelpText(
      "after",
      examples(
        "contix model pull smollm2",
        "contix model pull hf:OWNER/REPO:Q8_0",
        "contix model ls",
        "contix model import my.gguf",
      ),
    );
  registerPull(model);
  registerImport(model);
  registerList(model);
  registerShow(model);
  registerPath(model);
  registerCopy(model);
  registerExport(model);
  registerVerify(model);
  registerGc(model);
  registerRemove(model);
}
