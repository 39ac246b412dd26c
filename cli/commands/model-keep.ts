/** `contix model rm`, `cp`, `export`, `verify` and `gc`: keeping the library in order. */
import type { Command } from "commander";
import { openLibrary } from "../../servers/llm/models/library.js";
import { type Finding, isBad } from "../../servers/llm/models/library-verify.js";
import { out } from "../colour.js";
import { whole } from "../command.js";
import { EXIT_FAILED } from "../errors.js";
import { bytes } from "../format.js";
import { interruptible, print, printJson, remark } from "../terminal.js";
import { examples, type Output, short, workOf } from "./model-output.js";
import { ProgressView } from "./model-progress.js";

interface Forced extends Output {
  readonly force?: true;
}

export function registerRemove(model: Command): void {
  model
    .command("rm")
    .argument("<name...>", "names, or name@digest for one version")
    .description("Remove models, with their files and all they were compiled to; not those in use.")
    .option("--force", "of a model in use the name goes; its files stay until `contix model gc`")
    .option("--json", "the versions that went, as JSON")
    .addHelpText("after", examples("contix model rm smollm2", "contix model rm my@1a2b3c4d"))
    .action(async (names: string[], options: Forced) => {
      const library = openLibrary();
      for (const name of names) {
        const { versions, users } = await library.remove(name, { force: options.force === true });
        if (options.json) printJson({ name, removed: versions, users });
        else print(`removed ${name}: ${versions.map(({ digest }) => short(digest)).join(", ")}`);
        if (users.length > 0) {
          remark(`its files stay: ${users.join(", ")} uses them; later run \`contix model gc\``);
        }
      }
    });
}

export function registerCopy(model: Command): void {
  model
    .command("cp")
    .argument("<source>", "a name, an alias, a digest or name@digest")
    .argument("<name>", "the new name")
    .description("Give a model a second name; nothing is copied on the disk.")
    .option("--force", "the name may mean another model now")
    .option("--json", "the result as JSON")
    .addHelpText("after", examples("contix model cp qwen2.5-0.5b-instruct-q8_0 qwen"))
    .action(async (source: string, name: string, options: Forced) => {
      const copied = await openLibrary().copy(source, name, { force: options.force === true });
      if (options.json) return printJson({ name: copied.manifest.name, ...copied.version });
      print(`${out.bold(copied.manifest.name)} is ${short(copied.version.digest)}`);
    });
}

export function registerExport(model: Command): void {
  model
    .command("export")
    .argument("<name>", "a name, an alias, a digest or name@digest")
    .argument("<target>", "a file (or a directory for it); a directory for an ONNX export")
    .description("Copy a model out of the library, checked on the way.")
    .option("--force", "overwrite what is there")
    .option("--json", "the result as JSON")
    .addHelpText(
      "after",
      examples("contix model export smollm2 ./smollm2.gguf", "contix model export my-onnx ./my/"),
    )
    .action((name: string, target: string, options: Forced) =>
      interruptible(async (signal) => {
        using view = new ProgressView(name);
        const work = { ...workOf(view, signal), force: options.force };
        const path = await openLibrary().export(name, target, work);
        if (options.json) printJson({ name, path });
        else print(path);
      }),
    );
}

interface VerifyFlags extends Output {
  readonly removeBad?: true;
}

export function registerVerify(model: Command): void {
  model
    .command("verify")
    .argument("[name]", "a name, an alias, a digest or name@digest; default: all models")
    .description(
      "Read every byte of models and what they were compiled to again. Exits 1 when one is bad.",
    )
    .option("--remove-bad", "remove what is bad, so that it can be brought or compiled anew")
    .option("--json", "every finding as JSON")
    .addHelpText("after", examples("contix model verify", "contix model verify smollm2 --json"))
    .action((name: string | undefined, options: VerifyFlags) =>
      interruptible(async (signal) => {
        const removeBad = options.removeBad === true;
        const findings = await verified(name, removeBad, signal);
        if (findings.some((finding) => isBad(finding) && !finding.removed)) {
          process.exitCode = EXIT_FAILED;
        }
        if (options.json) return printJson(findings);
        for (const finding of findings) print(line(finding));
        if (findings.length === 0) print("no models here");
      }),
    );
}

async function verified(name: string | undefined, removeBad: boolean, signal: AbortSignal) {
  using view = new ProgressView(name ?? "all models");
  return openLibrary().verify(name, { ...workOf(view, signal), removeBad });
}

function line({ name, kind, path, state, fix, removed }: Finding): string {
  const colour = state === "ok" ? out.green : state === "unknown" ? out.yellow : out.red;
  const what = `${colour(state.padEnd(7))} ${name} ${kind} ${path}${removed ? ", removed" : ""}`;
  return fix === "" ? what : `${what}\n        ${fix}`;
}

interface GcFlags extends Output {
  readonly dryRun?: true;
  readonly partialDays?: number;
}

export function registerGc(model: Command): void {
  model
    .command("gc")
    .description(
      "Remove files that no model needs, outdated compiled models and stale partial downloads; nothing in use.",
    )
    .option("--dry-run", "only tell what would go")
    .option("--partial-days <n>", "give up downloads untouched for so long (default: 7)", whole(0))
    .option("--json", "what went and what is in use, as JSON")
    .addHelpText("after", examples("contix model gc --dry-run", "contix model gc"))
    .action(async ({ dryRun, partialDays, json }: GcFlags) => {
      const result = await openLibrary().gc({ dryRun, partialDays });
      const freed = result.removed.reduce((sum, garbage) => sum + garbage.bytes, 0);
      if (json) return printJson({ dryRun: dryRun === true, freed, ...result });
      for (const { kind, path, bytes: size, why } of result.removed) {
        print(`${dryRun ? "would remove" : "removed"} ${kind} ${path}, ${bytes(size)}: ${why}`);
      }
      for (const { kind, path, users } of result.kept) {
        print(`kept ${kind} ${path}: in use by ${users.join(", ")}`);
      }
      print(`${bytes(freed)} ${dryRun ? "would be free" : "freed"}`);
    });
}
