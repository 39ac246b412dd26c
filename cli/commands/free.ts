import type { Command } from "commander";
import type { Memory } from "../../syscalls/index.js";
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
      "Where contexts' keys and values are (slots, pages in memory, the swap file; dropped: nowhere, only tokens are kept), what was found there when it was looked for, and who holds most.",
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
    { title: "EVICTED", right: true },
  ];
  const rows = models.flatMap(({ model, tiers }) =>
    tiers.map((tier) => [
      model,
      tier.name,
      count(tier.used),
      tier.places === 0 ? "-" : count(tier.places),
      tier.bytes === 0 ? "-" : bytes(tier.bytesUsed),
      tier.bytes === 0 ? "-" : bytes(tier.bytes),
      tier.name === "memory" || tier.name === "swap" ? count(tier.evicted) : "-",
    ]),
  );
  return table(columns, rows, colours.bold);
}

/** What the models have computed, and of it what they had computed before. */
export function rebuiltLines({ models, ...memory }: Omit<Memory, "holders">): string[] {
  const lines = models.flatMap((model) => {
    const { tokensEntered, tokensRecomputed, pagesAsked, pagesFound } = model;
    const contexts = `${count(model.contexts)} contexts, ${count(model.contextTokens)} tokens`;
    return [
      `${model.model}: ${contexts}`,
      `  pages found when needed: ${share(pagesFound, pagesAsked)}`,
      `  tokens computed again: ${share(tokensRecomputed, tokensEntered)}`,
      `  ${lostLine(model)}`,
    ];
  });
  const { memoryBudget, memoryUsed } = memory;
  return [...lines, `drivers: ${bytes(memoryUsed)} of ${bytes(memoryBudget)}`];
}

/** What the tiers could not keep. A bad page costs time, never a wrong token. */
function lostLine({ pagesRefused, pagesBad, swapErrors }: Memory["models"][number]): string {
  const found = `${count(pagesBad)} found bad in the swap file, ${count(swapErrors)} reads and writes of it failed`;
  return `pages not kept for want of a place: ${count(pagesRefused)}; ${found}`;
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

/** `150 of 200 (75.0 %)` */
function share(part: number, of: number): string {
  const percent = of === 0 ? "" : ` (${((part * 100) / of).toFixed(1)} %)`;
  return `${count(part)} of ${count(of)}${percent}`;
}
