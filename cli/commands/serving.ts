import type { Command } from "commander";
import type { ModelInfo } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { type Colours, out } from "../colour.js";
import { finish, placeOf } from "../command.js";
import { bytes, count, duration, table } from "../format.js";
import { print, printJson, remark } from "../terminal.js";

interface Options {
  readonly json?: true;
}

/** `contix models` */
export function registerModels(program: Command): void {
  const command = program
    .command("models")
    .description(
      "The models that the daemon serves: which run, what they take, when they were used last. One that is stopped is started by the first call that names it. The default is marked.",
    )
    .option("--json", "as JSON: one array")
    .action((options: Options, self: Command) => models(options, self));
  finish(command, ["contix models", 'contix generate --model tiny "Once"', "contix models --json"]);
}

async function models(options: Options, self: Command): Promise<void> {
  await using os = await attach(placeOf(self), "contix models");
  const list = await os.llm.models();
  if (options.json === true) return printJson(list);
  print(modelsTable(list, out));
  for (const { name, error } of list) if (error !== "") remark(`${name}: ${error}`);
}

/** The table of `contix models`. */
export function modelsTable(models: readonly ModelInfo[], colours: Colours): string {
  const columns = [
    { title: "MODEL" },
    { title: "STATE" },
    { title: "SLOTS", right: true },
    { title: "QUEUED", right: true },
    { title: "MEMORY", right: true },
    { title: "WINDOW", right: true },
    { title: "LAST USE" },
  ];
  const rows = models.map((model) => [
    model.default ? `${model.name} *` : model.name,
    stateColour(model.state, colours)(model.state),
    model.slots === 0 ? "-" : `${model.slotsUsed}/${model.slots}`,
    String(model.queued),
    model.memory === 0 ? "-" : bytes(model.memory),
    model.window === 0 ? "-" : count(model.window),
    lastUse(model),
  ]);
  return table(columns, rows, colours.bold);
}

function lastUse({ idleMs, slots, state }: ModelInfo): string {
  if (idleMs > 0) return `${duration(idleMs * 1000)} ago`;
  return slots > 0 || state === "starting" ? "now" : "-";
}

function stateColour(state: ModelInfo["state"], colours: Colours): (text: string) => string {
  if (state === "running") return colours.green;
  if (state === "starting") return colours.yellow;
  return state === "failed" ? colours.red : colours.dim;
}
