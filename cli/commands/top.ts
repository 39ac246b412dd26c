import { type Command, Option } from "commander";
import { attach } from "../attach.js";
import { out } from "../colour.js";
import { finish, number, placeOf, whole } from "../command.js";
import { CliError } from "../errors.js";
import { interruptible, isLive, pause, print, printJson } from "../terminal.js";
import { Live } from "../top/live.js";
import { textPage } from "../top/page.js";
import { type Reading, sampleOf } from "../top/reading.js";
import { Source } from "../top/source.js";
import { firstView } from "../top/view.js";

interface Options {
  readonly all?: true;
  readonly delay: number;
  readonly filter: string;
  readonly iterations?: number;
  readonly json?: true;
}

/** Of the first page that is no live one: rates need two readings. */
const FIRST_MS = 500;
/** What a pipe gets: as wide as all columns want. */
const TEXT_COLUMNS = 160;

/** `contix top` */
export function registerTop(program: Command): void {
  const command = program
    .command("top")
    .description(
      "A live page of the agents, the slots and the queue. Into a pipe: one page of text; -n for more.",
    )
    .option("-a, --all", "also agents that have ended")
    .addOption(
      new Option("-d, --delay <seconds>", "seconds between two pages")
        .default(2)
        .argParser(number(0.1, 3600)),
    )
    .addOption(
      new Option("-n, --iterations <count>", "pages after which it ends").argParser(whole(1)),
    )
    .option(
      "-f, --filter <text>",
      "only agents whose pid, name, principal, class or state has it",
      "",
    )
    .option("--json", "one JSON object a page, a line each, until Ctrl-C or -n")
    .action((options: Options, self: Command) => top(options, self));
  finish(command, ["contix top", "contix top -n 1 | head -20", "contix top --json -d 5 -n 12"]);
}

async function top(options: Options, self: Command): Promise<void> {
  const place = placeOf(self);
  await using source = new Source(() => attach(place, "contix top"));
  // No daemon at the start is an error, as everywhere.
  await source.os();
  await interruptible(async (signal) => {
    const { all = false, json = false } = options;
    const first = await source.read(all, signal);
    if (typeof first === "string") throw new CliError(first);
    if (isLive() && !json) await live(source, first, options, signal);
    else await pages(source, first, options, signal);
  });
}

async function live(
  source: Source,
  first: Reading,
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const { delay, filter, all = false, iterations = Number.POSITIVE_INFINITY } = options;
  await new Live(source, { delayMs: delay * 1000, filter, all, pages: iterations }).run(
    first,
    signal,
  );
}

/** Pages one below the other. A daemon that goes away ends them: nobody is there to wait with. */
async function pages(
  source: Source,
  first: Reading,
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const { all = false, json = false, delay, filter } = options;
  const view = { ...firstView(delay * 1000), all, filter };
  const count = options.iterations ?? (json ? Number.POSITIVE_INFINITY : 1);
  let before = first;
  for (let i = 0; i < count && !source.told; i++) {
    await pause(i === 0 ? Math.min(FIRST_MS, view.delayMs) : view.delayMs, signal);
    if (signal.aborted) return;
    const now = await source.read(all, signal);
    if (typeof now === "string") throw new CliError(now);
    const sample = sampleOf(now, before);
    before = now;
    const { at: _, ...told } = sample;
    if (json) printJson(told);
    else print(`${i > 0 ? "\n" : ""}${textPage(sample, view, TEXT_COLUMNS, out).join("\n")}`);
  }
}
