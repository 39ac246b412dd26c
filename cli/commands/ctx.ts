/** `contix ctx …`: contexts on the command line. */
import { readFile, writeFile } from "node:fs/promises";
import type { Command } from "commander";
import type { Context, ContextStat, Os } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { type Colours, out } from "../colour.js";
import { finish, placeOf, whole } from "../command.js";
import { CliError } from "../errors.js";
import { count, duration, table } from "../format.js";
import { readCid } from "../pid.js";
import { print, printJson } from "../terminal.js";

interface Json {
  readonly json?: true;
}
interface ForkOptions extends Json {
  readonly length?: number;
  readonly ttl?: number;
}
interface RestoreOptions extends Json {
  readonly rebase?: true;
  readonly model?: string;
  readonly ttl?: number;
}

const TTL = "seconds without use after which it is closed; default: never";

/** `contix ctx` */
export function registerCtx(program: Command): void {
  const ctx = program
    .command("ctx")
    .description(
      "List, show, fork, remove, save and restore contexts. A context that is made here is kept for you until you remove it, or a program opens it by its id.",
    );
  registerLook(ctx);
  registerChange(ctx);
  registerFiles(ctx);
  finish(ctx, ["contix ctx ls", "contix ctx snapshot n1.3 > teacher.ctx"]);
}

function registerLook(ctx: Command): void {
  const ls = ctx
    .command("ls")
    .description("All contexts: who holds them, how long they are, where their pages are.")
    .option("--json", "as JSON: one array")
    .action((options: Json, self: Command) => {
      return onKernel(self, async (os) => {
        const contexts = await os.ctx.list({ all: true });
        if (options.json === true) return printJson(contexts);
        print(contextsTable(contexts, out));
      });
    });
  finish(ls, ["contix ctx ls", "contix ctx ls --json | jq '.[].cid'"]);
  const show = ctx
    .command("show")
    .description("One context, what it is made of, and what was moved out of it.")
    .argument("<cid>", "its id, such as n1.3", readCid)
    .option("--json", "as JSON")
    .action((cid: string, options: Json, self: Command) => {
      return onKernel(self, async (os) => {
        const stat = await os.ctx.stat(cid);
        if (options.json === true) return printJson(stat);
        for (const [name, value] of contextLines(stat)) {
          print(`${out.dim(name.padEnd(10))} ${value}`);
        }
        if (stat.segments.length > 0) print(`\n${segmentsTable(stat, out)}`);
      });
    });
  finish(show, ["contix ctx show n1.3"]);
}

function registerChange(ctx: Command): void {
  const fork = ctx
    .command("fork")
    .description("Make another context with the same tokens; prints its id.")
    .argument("<cid>", "its id, such as n1.3", readCid)
    .option("--length <n>", "only so many tokens from its start", whole(0))
    .option("--ttl <s>", TTL, whole(1))
    .option("--json", "as JSON")
    .action((cid: string, { length, ttl, json }: ForkOptions, self: Command) => {
      return onKernel(self, async (os) => {
        const made = await os.ctx.fork(cid, {
          ...(length !== undefined && { length }),
          ttlMs: ms(ttl),
        });
        await keep(made, json);
      });
    });
  finish(fork, ["contix ctx fork n1.3", "contix ctx fork n1.3 --length 600 --ttl 3600"]);
  const rm = ctx
    .command("rm")
    .description("Close contexts, whoever holds them. One that is in use is not closed.")
    .argument("<cid...>", "their ids", collectCids)
    .action((cids: string[], _: unknown, self: Command) => {
      return onKernel(self, async (os) => {
        for (const cid of cids) await os.ctx.close(cid);
      });
    });
  finish(rm, ["contix ctx rm n1.3 n1.4"]);
}

function registerFiles(ctx: Command): void {
  const snapshot = ctx
    .command("snapshot")
    .description("Write a context as a file: to stdout, or where --output says.")
    .argument("<cid>", "its id, such as n1.3", readCid)
    .option("-o, --output <file>", "the file to write")
    .action((cid: string, { output }: { output?: string }, self: Command) => {
      if (output === undefined && process.stdout.isTTY === true) {
        throw new CliError("a snapshot is no text: send it to a file, with > or --output");
      }
      return onKernel(self, async (os) => {
        const bytes = await os.ctx.snapshot(cid);
        if (output !== undefined) return writeFile(output, bytes);
        await new Promise<void>((written) => process.stdout.write(bytes, () => written()));
      });
    });
  finish(snapshot, ["contix ctx snapshot n1.3 > teacher.ctx"]);
  const restore = ctx
    .command("restore")
    .description("Make a context from a file that `contix ctx snapshot` wrote; prints its id.")
    .argument("<file>", "the file")
    .option("--rebase", "under another engine: take the tokens over, all of them as given")
    .option("--model <name>", "default: the snapshot's")
    .option("--ttl <s>", TTL, whole(1))
    .option("--json", "as JSON")
    .action(async (file: string, options: RestoreOptions, self: Command) => {
      const { json, ttl, ...how } = options;
      const bytes = await readFile(file);
      await onKernel(self, async (os) => {
        await keep(await os.ctx.restore(bytes, { ...how, ttlMs: ms(ttl) }), json);
      });
    });
  finish(restore, ["contix ctx restore teacher.ctx", "contix ctx restore old.ctx --rebase"]);
}

async function onKernel(self: Command, work: (os: Os) => Promise<void>): Promise<void> {
  await using os = await attach(placeOf(self), "contix ctx");
  await work(os);
}

function collectCids(text: string, before: readonly string[] = []): string[] {
  return [...before, readCid(text)];
}

/** Lets a context outlive this command. */
async function keep(made: Context, json: true | undefined): Promise<void> {
  await made.give(null);
  if (json === true) printJson({ cid: made.cid });
  else print(made.cid);
}

function ms(seconds = 0): number {
  return seconds * 1000;
}

/** The table of `contix ctx ls`. */
export function contextsTable(contexts: readonly ContextStat[], colours: Colours): string {
  if (contexts.length === 0) return "there are no contexts";
  const columns = [
    { title: "CID" },
    { title: "HOLDER" },
    { title: "TOKENS", right: true },
    { title: "OF", right: true },
    { title: "IN SLOT", right: true },
    { title: "PAGES", right: true },
    { title: "IN MEMORY", right: true },
    { title: "SWAPPED", right: true },
    { title: "IDLE", right: true },
    { title: "MODEL" },
    { title: "" },
  ];
  const rows = contexts.map((ctx) => [
    ctx.cid,
    ctx.owner ?? "kept",
    count(ctx.length),
    ctx.window === 0 ? "-" : count(ctx.window),
    count(ctx.resident),
    count(ctx.pages),
    count(ctx.pagesInMemory),
    count(ctx.pagesSwapped),
    ctx.busy ? colours.green("in use") : duration(ctx.idleMs * 1000),
    ctx.model,
    marks(ctx).join(", "),
  ]);
  return table(columns, rows, colours.bold);
}

function marks({ pinned, share, ttlMs, from }: ContextStat): string[] {
  return [
    ...(pinned ? ["pinned"] : []),
    ...(share === "all" ? ["shared with all"] : []),
    ...(ttlMs > 0 ? [`ttl ${duration(ttlMs * 1000)}`] : []),
    ...(from === null ? [] : [`fork of ${from}`]),
  ];
}

/** The lines of `contix ctx show`: a word, and what stands behind it. */
export function contextLines(ctx: ContextStat): [string, string][] {
  const holder = ctx.owner ?? "nobody: it is kept";
  const special = marks(ctx);
  return [
    ["context", `${ctx.cid}, ${duration(ctx.ageMs * 1000)} old`],
    ["holder", `${holder} (${ctx.principal})`],
    ["model", ctx.model],
    ["engine", ctx.engine],
    [
      "tokens",
      `${count(ctx.length)} of ${count(ctx.window)}: ${count(ctx.given)} given, ${count(ctx.generated)} generated`,
    ],
    ["slot", ctx.slot === null ? "none" : `${ctx.slot}, with ${count(ctx.resident)} tokens`],
    [
      "pages",
      `${count(ctx.pages)}: ${count(ctx.pagesInMemory)} in memory, ${count(ctx.pagesSwapped)} swapped`,
    ],
    ["overflow", overflowLine(ctx)],
    ["last use", ctx.busy ? "now" : `${duration(ctx.idleMs * 1000)} ago`],
    ...(special.length === 0 ? [] : [["", special.join(", ")] as [string, string]]),
  ];
}

function overflowLine({ overflow, summaries, filedSegments, filedTokens }: ContextStat): string {
  if (overflow === "none") return "none: what does not fit is refused";
  const how = `${overflow} first${summaries ? ", with summaries" : ""}`;
  if (filedSegments === 0) return `${how}; nothing was moved out`;
  return `${how}; ${count(filedSegments)} segments, ${count(filedTokens)} tokens, were moved out`;
}

/** What a context is made of, and what was moved out of it. */
export function segmentsTable(
  { segments }: Pick<ContextStat, "segments">,
  colours: Colours,
): string {
  const columns = [
    { title: "SEGMENT", right: true },
    { title: "KIND" },
    { title: "ROLE" },
    { title: "TOKENS", right: true },
    { title: "WHERE" },
    { title: "" },
  ];
  const rows = segments.map(({ segment, kind, role, tokens, pinned, filed, copyOf, stands }) => [
    segment === null ? "-" : String(segment),
    kind === "stub" ? "note" : kind,
    kind === "stub" ? "" : role,
    count(tokens),
    filed ? "moved out" : "in place",
    [
      ...(stands.length > 0 ? [`for ${ranges(stands)}`] : []),
      ...(copyOf === null ? [] : [`recalled, of ${copyOf}`]),
      ...(pinned && kind !== "stub" ? ["stays"] : []),
    ].join(", "),
  ]);
  return table(columns, rows, colours.bold);
}

/** Rising numbers as people write them: 3, 5 to 7. */
function ranges(numbers: readonly number[]): string {
  const parts: { first: number; last: number }[] = [];
  for (const number of numbers) {
    const part = parts.at(-1);
    if (part && number === part.last + 1) part.last = number;
    else parts.push({ first: number, last: number });
  }
  const show = ({ first, last }: { first: number; last: number }): string =>
    first === last ? `${first}` : `${first}${last === first + 1 ? "," : " to"} ${last}`;
  return parts.map(show).join(", ");
}
