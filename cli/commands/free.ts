import type { Command } from "commander";
import type { Memory, Tier } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { type Colours, out } from "../colour.js";
import { finish, placeOf, whole } from "../command.js";
import { bytes, count, table } from "../format.js";
import { print, printJson } from "../terminal.js";

interface Options {
  readonly json?: true;
  readonly top: number;
}

/** `contix free` */
export function registerFree(program: Command): void {
  const command = program
    .command("free")
    .description(
      "Where contexts' keys and values are (slots, pages in memory, the swap file), what was found there when it was looked for, and who holds most.",
    )
    .option("-n, --top <n>", "holders to name", whole(1, 1000), 10)
    .option("--json", "as JSON")
    .action((options: Options, self: Command) => free(options, self));
  finish(command, ["contix free", "contix free -n 3", "contix free --json"]);
}

async function free({ json, top }: Options, self: Command): Promise<void> {
  await using os = await attach(placeOf(self), "contix free");
  const memory = await os.sys.free({ top });
  if (json === true) return printJson(memory);
  print(tiersTable(memory, out));
  print();
  print(rebuiltLines(memory).join("\n"));
  print();
  print(holdersTable(memory, out));
}

/** A line for each tier of each model. */
export function tiersTable({ models }: Pick<Memory, "models">, colours: Colours): string {
  if (models.length === 0) return "no model has run yet";
  const columns = [
    { title: "MODEL" },
    { title: "TIER" },
    { title: "USED", right: true },
    { title: "OF", right: true },
    { title: "BYTES", right: true },
    { title: "OF", right: true },
    { title: "FOUND", right: true },
  ];
  const rows = models.flatMap((model) =>
    model.tiers.map((tier) => [
      model.model,
      tier.name,
      count(tier.used),
      count(tier.places),
      tier.bytes === 0 ? "-" : bytes(tier.bytesUsed),
      tier.bytes === 0 ? "-" : bytes(tier.bytes),
      found(model, tier),
    ]),
  );
  return table(columns, rows, colours.bold);
}

/** Of the pages that were looked for, the share that a tier had. */
function found(model: Memory["models"][number], { name }: Tier): string {
  if (name === "slots" || model.pagesAsked === 0) return "-";
  const pages = name === "memory" ? model.pagesInMemory : model.pagesSwapped;
  return percent(pages, model.pagesAsked);
}

/** What the models have computed, and of it what they had computed before. */
export function rebuiltLines({ models, ...memory }: Omit<Memory, "holders">): string[] {
  const lines = models.map(
    ({ model, contexts, contextTokens, tokensEntered, tokensRecomputed }) => {
      const again = tokensEntered === 0 ? "" : ` (${percent(tokensRecomputed, tokensEntered)})`;
      return `${model}: ${count(contexts)} contexts of ${count(contextTokens)} tokens; ${count(tokensEntered)} tokens computed, ${count(tokensRecomputed)} of them again${again}`;
    },
  );
  const { memoryBudget, memoryUsed } = memory;
  return [...lines, `drivers: ${bytes(memoryUsed)} of ${bytes(memoryBudget)}`];
}

/** Who holds contexts. */
export function holdersTable({ holders }: Pick<Memory, "holders">, colours: Colours): string {
  if (holders.length === 0) return "nobody holds a context";
  const columns = [
    { title: "PID" },
    { title: "NAME" },
    { title: "CONTEXTS", right: true },
    { title: "TOKENS", right: true },
    { title: "IN SLOTS", right: true },
    { title: "PINNED PAGES", right: true },
    { title: "PRINCIPAL" },
  ];
  const rows = holders.map((holder) => [
    holder.pid ?? "kept",
    holder.name === "" ? "-" : holder.name,
    count(holder.contexts),
    count(holder.tokens),
    count(holder.resident),
    count(holder.pinnedPages),
    holder.principal,
  ]);
  return table(columns, rows, colours.bold);
}

function percent(part: number, of: number): string {
  return `${((part * 100) / of).toFixed(1)} %`;
}
