/** `contix model pull` and `import`: how models come into the library. */
import { type Command, Option } from "commander";
import { KvFormat, Recipe } from "../../servers/llm/models/compiled.js";
import { type Library, openLibrary, type ResolvedModel } from "../../servers/llm/models/library.js";
import type { CompileChoice, WorkOptions } from "../../servers/llm/models/options.js";
import type { PullPlan } from "../../servers/llm/models/pull-plan.js";
import { out } from "../colour.js";
import { bytes } from "../format.js";
import { interruptible, print, printJson, remark } from "../terminal.js";
import { catalogue, choiceText, examples, type Output, short, workOf } from "./model-output.js";
import { ProgressView } from "./model-progress.js";

interface Options extends Output {
  readonly name?: string;
  readonly recipe?: Recipe | "auto";
  readonly kv?: KvFormat | "auto";
}

/** What Ctrl-C leaves. */
const RESUMED = "the same command goes on where it stopped";
const UNDONE = "the library is as it was";

const PULL_HELP = `
Models: ${catalogue()}

From a Hugging Face hub: hf:OWNER/REPO[@REVISION][:FILE]. FILE is a path, a file's name or
a quantization ("Q4_K_M"). Without it: the only GGUF file, that in Q8_0, that in Q4_K_M, or
else an ONNX export (onnx/model.onnx). HF_ENDPOINT names another hub, HF_TOKEN opens private
and gated models. A pull that was interrupted goes on where it stopped.`;

export function registerPull(model: Command): void {
  const command = model
    .command("pull")
    .argument("<model>", "a name or an alias of the catalogue, or hf:OWNER/REPO[@REV][:FILE]")
    .description("Bring a model into the library and compile it.")
    .option("--name <name>", "its name here (default: that of the catalogue, or the file's)");
  common(command)
    .addHelpText("after", PULL_HELP)
    .addHelpText(
      "after",
      examples(
        "contix model pull smollm2-135m-instruct",
        "contix model pull hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0 --name qwen",
        "contix model pull hf:onnx-community/Qwen3-0.6B-ONNX@main",
      ),
    )
    .action((wanted: string, options: Options) =>
      interruptible(async (signal) => {
        const library = openLibrary();
        using view = new ProgressView(options.name ?? wanted);
        const work = workOf(view, signal);
        const onPlan = options.json ? undefined : announce;
        const pulled = await library.pull(wanted, { ...work, name: options.name, onPlan });
        await report(library, pulled, work, options);
      }, RESUMED),
    );
}

export function registerImport(model: Command): void {
  const command = model
    .command("import")
    .argument("<path>", "a GGUF file, or the directory of an ONNX export")
    .description("Take a model from the disk into the library and compile it.")
    .option("--name <name>", "its name here (default: the file's name)");
  common(command)
    .addHelpText(
      "after",
      examples("contix model import ./my.gguf --name my", "contix model import ./my-export/"),
    )
    .action((path: string, options: Options) =>
      interruptible(async (signal) => {
        const library = openLibrary();
        using view = new ProgressView(options.name ?? path);
        const work = workOf(view, signal);
        const { name } = options;
        const imported = await library.importFile(path, {
          ...work,
          ...choiceOf(options),
          name,
        });
        await report(library, imported, work, options);
      }, UNDONE),
    );
}

/** What was decided; the rest is left to the library. */
function choiceOf({ recipe, kv }: Options): CompileChoice {
  return {
    recipe: recipe === "auto" ? undefined : recipe,
    kv: kv === "auto" ? undefined : kv,
  };
}

function common(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--recipe <recipe>",
        "how weights are stored and computed; auto measures once which is best here",
      ).choices(["auto", ...Recipe.options]),
    )
    .addOption(
      new Option(
        "--kv <format>",
        "how keys and values are stored: floats, or bytes in a quarter of the memory",
      ).choices(["auto", ...KvFormat.options]),
    )
    .option("--json", "the result as JSON");
}

/** What will come, before it comes. */
function announce({ name, files, size, license, source }: PullPlan): void {
  const count = files.length === 1 ? "" : ` in ${files.length} files`;
  remark(`${source} as ${name}: ${bytes(size)}${count}, license ${license}`);
}

async function report(
  library: Library,
  { manifest, version, path }: ResolvedModel,
  work: WorkOptions,
  options: Options,
): Promise<void> {
  const { name } = manifest;
  const { digest, size, license, source } = version;
  const wanted = choiceOf(options);
  const dir = await library.compiled(`${name}@${digest}`, { ...work, ...wanted });
  // Whoever names a recipe has chosen it.
  const choice = wanted.recipe === undefined ? await library.choice(version) : undefined;
  if (options.json) return printJson({ name, ...version, file: path, compiled: dir, choice });
  print(`${out.bold(name)} ${short(digest)}, ${bytes(size)}, license ${license}, from ${source}`);
  print(`compiled in ${dir}`);
  if (choice) print(`chosen ${choiceText(choice)}`);
}
