import { join } from "node:path";
import { type Command, Option } from "commander";
import type { ConfigInput } from "../../kernel/config.js";
import { out } from "../colour.js";
import { finish, whole } from "../command.js";
import { type Act, play } from "../demo/act.js";
import { castOf, type Role } from "../demo/cast.js";
import { type PrivateKernel, startPrivateKernel } from "../demo/private-kernel.js";
import { darkness, liveScreen, plainScreen, type Screen } from "../demo/screen.js";
import { type Report, report, summaryText } from "../demo/summary.js";
import { CliError } from "../errors.js";
import { interruptible, isLive, print, printJson, whenPipeCloses } from "../terminal.js";

/** The fake driver takes about the time that a small model would, so that there is something to see. */
const FAKE_PACE = JSON.stringify({ seed: 1, stepUs: 3_000, tokenUs: 100 });

interface Options {
  readonly model?: string;
  readonly driver?: string;
  readonly slots: number;
  readonly threads?: number;
  readonly json?: true;
}

/** `contix demo` */
export function registerDemo(program: Command): void {
  const command = program
    .command("demo")
    .description(
      "Eight agents, each an OS process of its own, summarize the openings of eight texts on one model, at once and then one by one. The daemon is private and leaves nothing behind but the model.",
    )
    .option("--model <name>", "default: smollm2-135m-instruct, pulled when it is not here")
    .addOption(
      new Option("--driver <kind>", "fake: a quick look without a model").choices([
        "onnxruntime",
        "fake",
      ]),
    )
    .option("--slots <n>", "contexts that run at once", whole(1, 64), 8)
    .option("--threads <n>", "threads of the engine; 0: all cores", whole(0))
    .option("--json", "the figures as JSON, at the end")
    .action((options: Options) => demo(options));
  finish(command, ["contix demo", "contix demo --driver fake", "contix demo --slots 4 --json"]);
}

async function demo(options: Options): Promise<void> {
  const result = await interruptible(async (interrupted) => {
    const closed = new AbortController();
    const restore = whenPipeCloses(() => closed.abort());
    try {
      return await perform(options, AbortSignal.any([interrupted, closed.signal]));
    } finally {
      restore();
    }
  });
  if (options.json === true) printJson(result);
  else print(summaryText(result, Math.min(process.stdout.columns ?? 100, 110), out));
  judge(result);
}

async function perform(options: Options, signal: AbortSignal): Promise<Report> {
  const quiet = options.json === true;
  // A daemon for each act: the second must not find the pages that the first computed.
  const act = async (title: (count: number) => string, alone: boolean, silent: boolean) => {
    const kernel = await startPrivateKernel(settingsOf(options), signal, silent);
    try {
      const roles = await castOf(join(kernel.home, "texts"));
      const uname = await kernel.os.sys.uname();
      const atOnce = alone ? 1 : roles.length;
      return {
        uname,
        done: await oneAct(kernel, title(roles.length), roles, atOnce, quiet, signal),
      };
    } finally {
      await kernel.stop();
    }
  };
  const together = await act((count) => `${count} agents at once`, false, quiet);
  const oneByOne = await act(() => "The same agents one by one", true, true);
  return report(together.uname, together.done, oneByOne.done);
}

async function oneAct(
  { os }: PrivateKernel,
  title: string,
  roles: readonly Role[],
  atOnce: number,
  quiet: boolean,
  signal: AbortSignal,
): Promise<Act> {
  const { model, driver } = await os.sys.uname();
  const screen = openScreen(`${title} on ${model} (${driver})`, quiet);
  try {
    return await play({ os, roles, atOnce, signal, onLook: screen.show });
  } finally {
    screen.done();
    if (!quiet) print();
  }
}

function openScreen(title: string, quiet: boolean): Screen {
  if (quiet) return darkness;
  return isLive() ? liveScreen(title, out) : plainScreen(title, print);
}

function settingsOf({ model, driver, slots, threads }: Options): ConfigInput {
  const driverOptions = driver === "fake" ? FAKE_PACE : undefined;
  return { model, driver, driverOptions, slots, threads };
}

/** A failed agent fails the demo; so does an answer that depended on who else ran. */
function judge({ failed, sameAnswers, together }: Report): void {
  const agents = together.agents.length;
  if (failed.length > 0)
    throw new CliError(`${failed.length} of ${2 * agents} agents failed: ${failed.join("; ")}`);
  if (sameAnswers < agents)
    throw new CliError(
      `${agents - sameAnswers} of ${agents} answers differ from the agent's own alone: a schedule must never change an answer`,
    );
}
