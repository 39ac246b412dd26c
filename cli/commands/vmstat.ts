import type { Command } from "commander";
import type { Stats } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { type Colours, out } from "../colour.js";
import { finish, number, placeOf, whole } from "../command.js";
import { interruptible, pause, print, printJson } from "../terminal.js";
import { fit } from "../top/cells.js";
import { type Rates, ratesOf, sinceStart } from "../top/reading.js";

interface Options {
  readonly json?: true;
}

/** After so many rows the titles come again, when the terminal does not say how many it has. */
const ROWS = 24;

/** `contix vmstat` */
export function registerVmstat(program: Command): void {
  const command = program
    .command("vmstat")
    .description(
      "Processes, slots, pages and tokens, a line every so many seconds. The first line is since the daemon's start.",
    )
    .argument("[seconds]", "between two lines; without it there is one", number(0.1, 3600))
    .argument("[count]", "lines after which it ends; without it Ctrl-C does", whole(1))
    .option("--json", "each line as a JSON object")
    .action(
      (seconds: number | undefined, count: number | undefined, options: Options, self: Command) =>
        vmstat(seconds, count, options, self),
    );
  finish(command, ["contix vmstat", "contix vmstat 1", "contix vmstat 5 12 --json"]);
  command.addHelpText("after", `\n${LEGEND}`);
}

async function vmstat(
  seconds: number | undefined,
  count = seconds === undefined ? 1 : Number.POSITIVE_INFINITY,
  options: Options,
  self: Command,
): Promise<void> {
  await using os = await attach(placeOf(self), "contix vmstat");
  await interruptible(async (signal) => {
    let before: { readonly stats: Stats; readonly at: number } | undefined;
    const every = Math.max(1, (process.stdout.rows ?? ROWS) - 2);
    for (let i = 0; i < count; i++) {
      if (i > 0) await pause((seconds ?? 0) * 1000, signal);
      if (signal.aborted) return;
      const [stats, { uptimeMs }] = await Promise.all([os.sys.stats(), os.sys.uname()]);
      const at = performance.now();
      const rates = before
        ? ratesOf(stats, before.stats, at - before.at)
        : sinceStart(stats, uptimeMs);
      before = { stats, at };
      if (options.json === true) {
        const { slot: _, ...figures } = stats;
        printJson({ ...figures, rates });
        continue;
      }
      if (i % every === 0) for (const line of vmstatTitles(out)) print(line);
      print(vmstatLine(stats, rates));
    }
  });
}

interface Column {
  readonly title: string;
  readonly width: number;
  readonly of: (stats: Stats, rates: Rates) => number;
  readonly what: string;
}

const column = (title: string, width: number, what: string, of: Column["of"]): Column => {
  return { title, width, what, of };
};

const GROUPS: readonly (readonly [name: string, columns: readonly Column[]])[] = [
  [
    "procs",
    [
      column("r", 4, "processes in a slot", (stats) => stats.procsRunning),
      column("w", 4, "generations that wait for a slot", (stats) => stats.queued),
      column("b", 4, "processes that wait for something else", (stats) => stats.procsBlocked),
    ],
  ],
  [
    "slots",
    [
      column("used", 4, "slots in use", (stats) => stats.slotsUsed),
      column("all", 4, "slots", (stats) => stats.slots),
    ],
  ],
  [
    "pages",
    [
      column("ram", 8, "pages in RAM", (stats) => stats.pagesMemoryUsed),
      column("swap", 8, "pages in the swap file", (stats) => stats.pagesSwapUsed),
    ],
  ],
  [
    "pages/s",
    [
      column("in", 5, "from RAM into slots", (_, rates) => rates.pagesIn),
      column("out", 5, "from slots to RAM", (_, rates) => rates.pagesOut),
      column("si", 5, "from the swap file into slots", (_, rates) => rates.swapIn),
      column("so", 5, "to the swap file", (_, rates) => rates.swapOut),
    ],
  ],
  [
    "tokens/s",
    [
      column("pre", 6, "prefilled", (_, rates) => rates.prefilled),
      column("dec", 6, "decoded", (_, rates) => rates.decoded),
      column("again", 6, "of these, computed again", (_, rates) => rates.recomputed),
    ],
  ],
  [
    "system/s",
    [
      column("cs", 5, "context switches", (_, rates) => rates.switches),
      column("step", 5, "steps of the drivers", (_, rates) => rates.steps),
      column("sys", 6, "calls", (_, rates) => rates.syscalls),
    ],
  ],
];

const LEGEND = `Columns:\n${GROUPS.flatMap(([, columns]) => columns)
  .map(({ title, what }) => `  ${title.padEnd(6)}${what}`)
  .join("\n")}`;

/** The two lines above the figures. */
export function vmstatTitles(colours: Colours): string[] {
  const groups = GROUPS.map(([name, columns]) => {
    const width = columns.reduce((sum, column) => sum + column.width + 1, -1);
    return name.padStart(Math.floor((width + name.length) / 2), "-").padEnd(width, "-");
  });
  const titles = GROUPS.map(([, columns]) =>
    columns.map(({ title, width }) => fit(title, width, true)).join(" "),
  );
  return [colours.dim(groups.join("  ")), colours.bold(titles.join("  "))];
}

/** One line of figures. A figure too wide for its column is shown whole: it shifts the others. */
export function vmstatLine(stats: Stats, rates: Rates): string {
  return GROUPS.map(([, columns]) =>
    columns.map(({ width, of }) => figure(of(stats, rates)).padStart(width)).join(" "),
  ).join("  ");
}

function figure(n: number): string {
  return n > 0 && n < 9.95 && !Number.isInteger(n) ? n.toFixed(1) : String(Math.round(n));
}
