import type { Command } from "commander";
import type { Generation, Usage } from "../../syscalls/index.js";
import { attachOrStart } from "../attach.js";
import { collect, finish, number, placeOf, whole } from "../command.js";
import { CliError, usage } from "../errors.js";
import { duration, rate } from "../format.js";
import { type PrefillLine, prefillLine } from "../prefill-line.js";
import { interruptible, printJson, remark } from "../terminal.js";

interface Options {
  readonly chat?: true;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly presencePenalty?: number;
  readonly seed?: bigint;
  readonly stop?: readonly string[];
  readonly model?: string;
  readonly logprobs?: number;
  readonly stats?: true;
  readonly json?: true;
}

/** `contix generate` */
export function registerGenerate(program: Command): void {
  const command = program
    .command("generate")
    .description(
      "Continue a prompt; the text comes as it is made. Starts the daemon when none runs.",
    )
    .argument("[prompt]", "the prompt; without it, or with -, it is read from stdin")
    .option("-c, --chat", "answer it as a user's message, by the model's chat template")
    .option("-n, --max-tokens <n>", "the most tokens; default: what the window holds", whole(1))
    .option("-t, --temperature <t>", "0 is greedy; default 0.7", number(0, 2))
    .option("--top-k <k>", "draw from the k likeliest tokens", whole(0))
    .option("--top-p <p>", "draw from the likeliest that make up p", number(0, 1))
    .option(
      "--min-p <p>",
      "leave out tokens below this share of the likeliest (default 0.05)",
      number(0, 1),
    )
    .option("--repetition-penalty <x>", "over 1: what is there becomes less likely", number(0, 1e6))
    .option(
      "--presence-penalty <x>",
      "over 0: what was generated becomes less likely",
      number(-2, 2),
    )
    .option("--seed <n>", "the same seed gives the same text", readSeed)
    .option("--stop <text>", "end before this text; may be given again", collect)
    .option("--model <name>", "default: the daemon's; one that does not run is started")
    .option("--stats", "what it took, on stderr")
    .option(
      "--logprobs <n>",
      "with --json: each token's log probability, and the n likeliest at its place",
      whole(0, 20),
    )
    .option("--json", "the whole result as JSON, at its end")
    .action((prompt: string | undefined, options: Options, self: Command) =>
      generate(prompt, options, self),
    );
  finish(command, [
    'contix generate "Once upon a time" -n 40',
    'contix generate --chat "Why is the sky blue?" --temperature 0',
    "contix generate --json --seed 7 < prompt.txt",
  ]);
}

async function generate(
  argument: string | undefined,
  options: Options,
  self: Command,
): Promise<void> {
  const { chat, stats, json, ...sampling } = options;
  if (options.logprobs !== undefined && json !== true) {
    throw usage("--logprobs shows in the result as JSON: give --json with it");
  }
  const prompt = argument === undefined || argument === "-" ? await readStdin() : argument;
  if (prompt === "") throw usage("the prompt is empty");
  await interruptible(async (signal) => {
    await using os = await attachOrStart(placeOf(self), "contix generate", signal);
    using line = prefillLine();
    const ask = { ...sampling, signal, onPrefill: line.show };
    const generation = chat === true ? os.llm.chat(prompt, ask) : os.llm.generate(prompt, ask);
    if (json === true) return printJson(await generation);
    await stream(generation, line);
    if (stats === true) remark(statsLine((await generation).usage));
  });
}

async function stream(generation: Generation, line: PrefillLine): Promise<void> {
  let last = "\n";
  try {
    for await (const text of generation) {
      line.clear();
      process.stdout.write(text);
      if (text !== "") last = text;
    }
  } finally {
    line.clear();
    if (!last.endsWith("\n")) process.stdout.write("\n");
  }
}

/** What a generation took, in a line. */
export function statsLine(usage: Usage): string {
  const { promptTokens, generatedTokens, queuedMs, servedMs, firstTokenMs } = usage;
  const { tokensPerSecond } = usage;
  return [
    `${promptTokens} tokens in, ${generatedTokens} out`,
    `first after ${duration(firstTokenMs * 1000)}`,
    `waited ${duration(queuedMs * 1000)}`,
    `served ${duration(servedMs * 1000)}`,
    `${rate(tokensPerSecond === 0 ? Number.NaN : tokensPerSecond)} tokens/s`,
  ].join(", ");
}

async function readStdin(): Promise<string> {
  if (process.stdin.isTTY === true)
    throw usage("no prompt: give one as an argument, or on stdin; see `contix generate --help`");
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new CliError("the prompt on stdin is not UTF-8 text");
  }
}

function readSeed(text: string): bigint {
  if (!/^\d{1,20}$/.test(text) || BigInt(text) >= 1n << 64n)
    throw usage(`--seed ${text}: must be a whole number below 2^64`);
  return BigInt(text);
}
