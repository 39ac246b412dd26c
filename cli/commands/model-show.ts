/** `contix model ls`, `show` and `path`: what is in the library. */
import type { Command } from "commander";
import { findInCatalog } from "../../servers/llm/models/catalog.js";
import { CompiledModel } from "../../servers/llm/models/compiled.js";
import { type CompiledEntry, type Library, openLibrary } from "../../servers/llm/models/library.js";
import type { ModelVersion } from "../../servers/llm/models/manifest.js";
import { out } from "../colour.js";
import { bytes, table } from "../format.js";
import { interruptible, print, printJson } from "../terminal.js";
import {
  catalogue,
  choiceText,
  examples,
  fields,
  type Output,
  short,
  workOf,
} from "./model-output.js";
import { ProgressView } from "./model-progress.js";

export function registerList(model: Command): void {
  model
    .command("ls")
    .description("List the models in the library.")
    .option("--json", "as JSON")
    .addHelpText("after", examples("contix model ls", "contix model ls --json"))
    .action(async (options: Output) => {
      const library = openLibrary();
      const here = await library.list();
      if (options.json) return printJson(here);
      if (here.length === 0) {
        return print(`no models here; pull one: \`contix model pull NAME\` (${catalogue()})`);
      }
      const rows: string[][] = [];
      for (const { name, versions } of here) {
        for (const version of versions) rows.push([name, ...(await rowOf(library, version))]);
      }
      print(table(COLUMNS, rows, out.bold));
    });
}

const COLUMNS = [
  { title: "NAME" },
  { title: "VERSION" },
  { title: "KIND" },
  { title: "SIZE", right: true },
  { title: "COMPILED" },
  { title: "LICENSE" },
  { title: "SOURCE" },
];

async function rowOf(library: Library, version: ModelVersion): Promise<string[]> {
  const forms = await library.compiledForms(version.digest);
  const inUse = (await library.usersOf(version)).length > 0 ? ", in use" : "";
  const compiled = [...new Set(forms.map(recipeOf))].join(", ") || "no";
  const { digest, kind, size, license, source } = version;
  return [short(digest), kind, bytes(size), `${compiled}${inUse}`, license, source];
}

export function registerShow(model: Command): void {
  model
    .command("show")
    .argument("<name>", "a name, an alias, a digest or name@digest")
    .description("Show what a model is, where it came from, what it was compiled to, who uses it.")
    .option("--json", "as JSON, with all that the compiled configurations hold")
    .addHelpText(
      "after",
      examples("contix model show smollm2", "contix model show smollm2 --json | jq .compiled"),
    )
    .action(async (name: string, options: Output) => {
      const library = openLibrary();
      const { manifest, version, path } = await library.resolve(name);
      const compiled = await library.compiledForms(version.digest);
      const entry = findInCatalog(library.catalog, manifest.name);
      const aliases = entry?.aliases ?? [];
      const users = await library.usersOf(version);
      const choice = await library.choice(version);
      if (options.json) {
        const facts = { name: manifest.name, aliases, ...version, file: path, users, choice };
        return printJson({ ...facts, compiled });
      }
      fields([
        ["name", manifest.name],
        ["aliases", aliases.join(", ") || "none"],
        ["kind", version.kind],
        ["license", version.license],
        ["digest", version.digest],
        ["size", `${bytes(version.size)} (${version.size} bytes)`],
        ["source", version.source],
        ["added", version.addedAt],
        ["file", path],
        ...(compiled.length > 0 ? compiled.flatMap(formRows) : [["compiled", "not yet"]]),
        ...(choice ? [["chosen", choiceText(choice)]] : []),
        ["in use", users.join(", ") || "no"],
      ]);
    });
}

/** A form in short, and what its KV costs. */
function formRows({ dir, bytes: size, config }: CompiledEntry): string[][] {
  const what = `${recipeOf({ config })}, ${bytes(size)}, window ${config.window} tokens`;
  return [["compiled", what], ...kvRows(config), ["engine", config.engineDigest], ["", dir]];
}

/** What a context takes, and what another format would change; nothing for an export. */
function kvRows(config: CompiledEntry["config"]): string[][] {
  const own = CompiledModel.safeParse(config);
  if (!own.success) return [];
  const { layers, kvHeads, headDim, kv } = own.data;
  const values = layers * 2 * kvHeads * headDim;
  const [token, other] = kv === "int8" ? [values, values * 4] : [values * 4, values];
  const cost = `KV ${kv}: ${bytes(token)} a token`;
  const change =
    kv === "int8"
      ? `fp32 would take ${bytes(other)} and read long prompts faster`
      : `int8 would take ${bytes(other)}, be a little less exact and read long prompts slower`;
  return [["", `${cost}; ${change}`]];
}

function recipeOf({ config }: Pick<CompiledEntry, "config">): string {
  return typeof config.recipe === "string" ? config.recipe : config.adapter;
}

export function registerPath(model: Command): void {
  model
    .command("path")
    .argument("<name>", "a name, an alias, a digest or name@digest")
    .description("Print the directory of the compiled model; it is compiled when it is not yet.")
    .option("--gguf", "the GGUF file instead, or the directory of an ONNX export")
    .option("--json", "as JSON")
    .addHelpText("after", examples("contix model path smollm2", "contix model path smollm2 --gguf"))
    .action((name: string, options: Output & { readonly gguf?: true }) =>
      interruptible(async (signal) => {
        const library = openLibrary();
        using view = new ProgressView(name);
        const path = options.gguf
          ? (await library.resolve(name)).path
          : await library.compiled(name, workOf(view, signal));
        if (options.json) printJson({ name, path });
        else print(path);
      }),
    );
}
