/** `contix model …`: the model library on the command line. */
import type { Command } from "commander";
import { type CatalogEntry, findInCatalog } from "../../servers/llm/models/catalog.js";
import type { Recipe } from "../../servers/llm/models/compiled.js";
import { type Library, openLibrary, type ResolvedModel } from "../../servers/llm/models/library.js";
import type { Manifest } from "../../servers/llm/models/manifest.js";
import type { WorkOptions } from "../../servers/llm/models/options.js";
import { TINY } from "../../servers/llm/models/tiny.js";
import { out } from "../colour.js";
import { bytes, table } from "../format.js";
import { interruptible, print, printJson } from "../terminal.js";
import { ProgressView } from "./model-progress.js";

interface Output {
  readonly json?: true;
}

export interface EnsureOptions {
  readonly library?: Library;
  readonly recipe?: Recipe;
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
  const { library = openLibrary(), recipe = "q8", signal } = options;
  using view = new ProgressView(name);
  const work: WorkOptions = {
    signal,
    onProgress: options.onProgress ?? (options.quiet ? undefined : (p) => view.update(p)),
    onNote: options.onNote ?? (options.quiet ? undefined : (line) => view.note(line)),
  };
  if (needsPull(name, await library.list())) await library.pull(name, work);
  return library.compiled(name, { ...work, recipe });
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
    .description("Pull, list, show, import and remove models.")
    .addHelpText(
      "after",
      examples("contix model pull smollm2", "contix model ls", "contix model import my.gguf"),
    );
  registerPull(model);
  registerList(model);
  registerShow(model);
  registerRemove(model);
  registerImport(model);
  registerPath(model);
}

function registerPull(model: Command): void {
  model
    .command("pull")
    .argument("<name>", "a model of the catalogue, or an alias")
    .description("Bring a model into the library and compile it.")
    .option("--json", "the result as JSON")
    .addHelpText("after", `\nModels: ${catalogue()}`)
    .addHelpText("after", examples("contix model pull smollm2-135m-instruct"))
    .action((name: string, options: Output) =>
      interruptible(async (signal) => {
        const library = openLibrary();
        using view = new ProgressView(name);
        const work = workOf(view, signal);
        const pulled = await library.pull(name, work);
        await report(pulled, await library.compiled(name, work), options);
      }),
    );
}

function registerImport(model: Command): void {
  model
    .command("import")
    .argument("<file>", "a GGUF file of the llama family")
    .description("Take a GGUF file into the library and compile it.")
    .option("--name <name>", "its name here (default: the file's name)")
    .option("--json", "the result as JSON")
    .addHelpText("after", examples("contix model import ./my.gguf --name my"))
    .action((file: string, options: Output & { readonly name?: string }) =>
      interruptible(async (signal) => {
        const library = openLibrary();
        using view = new ProgressView(options.name ?? file);
        const work = workOf(view, signal);
        const imported = await library.importFile(file, { ...work, name: options.name });
        const dir = await library.compiled(idOf(imported), work);
        await report(imported, dir, options);
      }),
    );
}

function registerList(model: Command): void {
  model
    .command("ls")
    .description("List the models in the library.")
    .option("--json", "as JSON")
    .addHelpText("after", examples("contix model ls", "contix model ls --json"))
    .action(async (options: Output) => {
      const here = await openLibrary().list();
      if (options.json) return printJson(here);
      if (here.length === 0) {
        return print(`no models here; pull one: \`contix model pull NAME\` (${catalogue()})`);
      }
      const columns = [
        { title: "NAME" },
        { title: "VERSION" },
        { title: "SIZE", right: true },
        { title: "LICENSE" },
        { title: "SOURCE" },
      ];
      const rows = here.flatMap(({ name, versions }) =>
        versions.map((v) => [name, short(v.digest), bytes(v.size), v.license, v.source]),
      );
      print(table(columns, rows, out.bold));
    });
}

function registerShow(model: Command): void {
  model
    .command("show")
    .argument("<name>", "a name, an alias, a digest or name@digest")
    .description("Show what a model is, where it came from and what it was compiled to.")
    .option("--json", "as JSON")
    .addHelpText("after", examples("contix model show smollm2"))
    .action(async (name: string, options: Output) => {
      const library = openLibrary();
      const { manifest, version, ggufPath } = await library.resolve(name);
      const compiled = await library.compiledForms(version.digest);
      const entry = findInCatalog(library.catalog, manifest.name);
      const aliases = entry?.aliases ?? [];
      if (options.json) {
        return printJson({ name: manifest.name, aliases, ...version, file: ggufPath, compiled });
      }
      const forms = compiled.flatMap(({ dir, bytes: size, config }) => [
        ["compiled", `${config.recipe}, ${bytes(size)}, window ${config.window} tokens`],
        ["engine", config.engineDigest],
        ["", dir],
      ]);
      fields([
        ["name", manifest.name],
        ["aliases", aliases.join(", ") || "none"],
        ["license", version.license],
        ["digest", version.digest],
        ["size", `${bytes(version.size)} (${version.size} bytes)`],
        ["source", version.source],
        ["added", version.addedAt],
        ["file", ggufPath],
        ...(forms.length > 0 ? forms : [["compiled", "not yet"]]),
      ]);
    });
}

function registerRemove(model: Command): void {
  model
    .command("rm")
    .argument("<name...>", "names, or name@digest for one version")
    .description("Remove models, with their files and all they were compiled to.")
    .option("--json", "the versions that went, as JSON")
    .addHelpText("after", examples("contix model rm smollm2", "contix model rm my@1a2b3c4d"))
    .action(async (names: string[], options: Output) => {
      const library = openLibrary();
      for (const name of names) {
        const gone = await library.remove(name);
        if (options.json) printJson({ name, removed: gone });
        else print(`removed ${name}: ${gone.map(({ digest }) => short(digest)).join(", ")}`);
      }
    });
}

function registerPath(model: Command): void {
  model
    .command("path")
    .argument("<name>", "a name, an alias, a digest or name@digest")
    .description("Print the directory of the compiled model; it is compiled when it is not yet.")
    .option("--gguf", "the GGUF file instead")
    .addHelpText("after", examples("contix model path smollm2", "contix model path smollm2 --gguf"))
    .action((name: string, options: { readonly gguf?: true }) =>
      interruptible(async (signal) => {
        const library = openLibrary();
        using view = new ProgressView(name);
        const path = options.gguf
          ? (await library.resolve(name)).ggufPath
          : await library.compiled(name, workOf(view, signal));
        print(path);
      }),
    );
}

function workOf(view: ProgressView, signal: AbortSignal): WorkOptions {
  return {
    signal,
    onProgress: (progress) => view.update(progress),
    onNote: (line) => view.note(line),
  };
}

async function report(model: ResolvedModel, dir: string, { json }: Output): Promise<void> {
  const { name } = model.manifest;
  const { digest, size, license, source } = model.version;
  if (json) return printJson({ name, ...model.version, file: model.ggufPath, compiled: dir });
  print(`${out.bold(name)} ${short(digest)}, ${bytes(size)}, license ${license}, from ${source}`);
  print(`compiled in ${dir}`);
}

function idOf({ manifest, version }: ResolvedModel): string {
  return `${manifest.name}@${version.digest}`;
}

function fields(rows: readonly (readonly string[])[]): void {
  for (const [key = "", value = ""] of rows) print(`${out.dim(key.padEnd(9))} ${value}`);
}

function short(digest: string): string {
  return digest.slice(0, 12);
}

function catalogue(): string {
  const named = ({ name, aliases, size, license }: CatalogEntry) =>
    `${[name, ...aliases].join(" or ")} (${bytes(size)}, ${license})`;
  return [...openLibrary().catalog.map(named), `${TINY} needs no pull`].join("; ");
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;
}
