/** `contix audit …`: what was denied and what was changed, and whether that record is whole. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import {
  auditDirectory,
  auditFile,
  auditFiles,
  lastHeadFile,
} from "../../kernel/cap/audit/files.js";
import { DENIED } from "../../kernel/cap/audit/log.js";
import { linesOf, type Verdict, verifyAudit } from "../../kernel/cap/audit/verify.js";
import { out } from "../colour.js";
import { finish, type Place, placeOf, whole } from "../command.js";
import { CliError } from "../errors.js";
import { linesFrom } from "../follow-lines.js";
import { count } from "../format.js";
import { followNats } from "../nats/follow.js";
import { interruptible, pause, print, printJson } from "../terminal.js";

const POLL_MS = 200;
/** A log that is being written may end in the middle of a group for a moment. */
const AGAIN_MS = 500;

interface TailOptions {
  readonly follow?: true;
  readonly json?: true;
  readonly denied?: true;
  readonly lines: number;
}

interface VerifyOptions {
  readonly heads?: string;
  readonly key?: string;
  readonly json?: true;
}

/** A line of the log, as far as it is shown. */
type Line = Readonly<Record<string, unknown>>;

/** `contix audit` */
export function registerAudit(program: Command): void {
  const audit = program
    .command("audit")
    .description(
      "The audit log in <home>/audit: every call that was denied and every call that changed something, chained by hashes and signed. It is read from the files, with or without a daemon.",
    );
  const tail = audit
    .command("tail")
    .description("Show the last records.")
    .option("-n, --lines <n>", "so many", whole(1, 1_000_000), 20)
    .option("-f, --follow", "go on with those that come, until Ctrl-C")
    .option("--denied", "only what was denied")
    .option("--json", "the lines as they are in the log")
    .action((options: TailOptions, self: Command) => tailLog(placeOf(self).home, options));
  finish(tail, ["contix audit tail", "contix audit tail --follow --denied"]);
  const verify = audit
    .command("verify")
    .description(
      "Check the log for changed, removed, reordered and forged records, and say where. With heads that were exported (`auditHeads`) also for an end that was cut off and a tail that was rewritten by somebody who has the key.",
    )
    .option("--heads <file>", "exported heads, as `contix audit heads` prints them")
    .option("--key <hex>", "the public key; <home>/audit/key.pub by default")
    .option("--json", "as JSON")
    .action((options: VerifyOptions, self: Command) => verifyLog(placeOf(self).home, options));
  finish(verify, ["contix audit verify", "contix audit verify --heads /mnt/elsewhere/heads.jsonl"]);
  const heads = audit
    .command("heads")
    .description(
      "Print the last signed head of the log, or with --follow each as the kernel tells it over NATS: for a file on another machine, which `contix audit verify --heads` believes where it does not believe the log. Needs an administrator's token.",
    )
    .option("-f, --follow", "each that comes, until Ctrl-C; a lost connection is made again")
    .action(({ follow }: { readonly follow?: true }, self: Command) =>
      showHeads(placeOf(self), follow),
    );
  finish(heads, [
    "contix audit heads",
    "CONTIX_TOKEN=ctx_… contix audit heads --follow --address nats://agents.example:4222 >> heads.jsonl",
  ]);
  finish(audit, ["contix audit tail", "contix audit verify"]);
}

async function verifyLog(home: string, { heads, key, json }: VerifyOptions): Promise<void> {
  const directory = directoryOf(home);
  const exported = heads === undefined ? undefined : readHeads(heads);
  const check = (): Promise<Verdict> =>
    verifyAudit({
      directory,
      ...(exported !== undefined && { heads: exported }),
      ...(key !== undefined && { key }),
    });
  let verdict = await check();
  if (verdict.unsigned > 0 || verdict.findings.length > 0) {
    await pause(AGAIN_MS, new AbortController().signal);
    verdict = await check();
  }
  if (json === true) printJson(verdict);
  else for (const line of verdictLines(verdict, exported !== undefined)) print(line);
  if (verdict.findings.length > 0) process.exitCode = 1;
}

/** What `contix audit verify` says. */
export function verdictLines(verdict: Verdict, withHeads: boolean): string[] {
  const { records, heads, from, to, unsigned, findings } = verdict;
  const lines = findings.map(({ file, line, what }) => {
    const where = file === "" ? "" : line === 0 ? `${file}: ` : `${file}:${line}: `;
    return `${where}${what}`;
  });
  lines.push(
    `${count(records)} records under ${count(heads)} signed heads, lines ${count(from)} to ${count(to)}`,
  );
  if (unsigned > 0) lines.push(`${count(unsigned)} lines at the end are not signed yet`);
  if (findings.length > 0) lines.push(`NOT as it was written: findings ${findings.length}`);
  else if (withHeads) lines.push("whole, and as its exported heads say");
  else lines.push("whole; that its end is not older than it was, only exported heads can tell");
  return lines;
}

async function showHeads(place: Place, follow?: true): Promise<void> {
  if (follow === true) {
    const subject = (node: string): string => `ctx.audit.${node}.head`;
    await interruptible((signal) => {
      return followNats(place, { name: "audit heads", subject, hear: print, signal });
    });
    return;
  }
  print(readHeads(lastHeadFile(directoryOf(place.home))).trimEnd());
}

function readHeads(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CliError(`the heads can not be read: ${(error as Error).message}`);
  }
}

function directoryOf(home: string): string {
  const directory = auditDirectory(home);
  if (auditFiles(directory).length > 0) return directory;
  throw new CliError(`no audit log in ${directory}: a daemon on this home writes one`);
}

async function tailLog(home: string, options: TailOptions): Promise<void> {
  const directory = directoryOf(home);
  const wanted = (line: Line): boolean => isRecord(line) && (!options.denied || isDenied(line));
  const show = (text: string): void => {
    const line = parse(text);
    if (!line || !wanted(line)) return;
    print(options.json === true ? text : lineOf(line));
  };
  const files = auditFiles(directory);
  // Where following begins: what is appended meanwhile is read twice by nobody.
  let file = files.at(-1) ?? 1;
  let position = 0;
  const last: string[] = [];
  for (const number of [...files].reverse()) {
    const own: string[] = [];
    for await (const { bytes, whole: isWhole } of linesOf(auditFile(directory, number))) {
      if (!isWhole) continue;
      if (number === file) position += bytes.length + 1;
      const text = bytes.toString("utf8");
      const line = parse(text);
      if (line && wanted(line)) own.push(text);
      if (own.length > options.lines) own.shift();
    }
    last.unshift(...own);
    if (last.length >= options.lines) break;
  }
  for (const text of last.slice(-options.lines)) show(text);
  if (options.follow !== true) return;
  await interruptible(async (interrupted) => {
    while (!interrupted.aborted) {
      const read = await linesFrom(auditFile(directory, file), position);
      position = read.position;
      for (const text of read.lines) show(text);
      const next = auditFiles(directory).find((number) => number > file);
      if (read.lines.length === 0 && next !== undefined) {
        file = next;
        position = 0;
      } else if (read.lines.length === 0) await pause(POLL_MS, interrupted);
    }
  });
}

function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}

/** Heads and the beginnings of files are for `verify`. */
function isRecord(line: Line): boolean {
  return "call" in line || "note" in line;
}

function isDenied({ result }: Line): boolean {
  return typeof result === "string" && DENIED.has(result);
}

/** A record as one line. */
export function lineOf(line: Line): string {
  const at = new Date(Number(line.at)).toISOString();
  if ("note" in line) return out.dim(`${at}  (${line.note}) ${line.text ?? ""}`.trimEnd());
  const { pid = "-", principal = "-", call, object = "", result, reason, times } = line;
  const colour = result === "ok" ? out.green : out.red;
  const often = times === undefined ? "" : ` ×${times}`;
  const parts = [
    at,
    String(pid).padEnd(6),
    String(principal).padEnd(8),
    String(call).padEnd(14),
    colour(`${result}${often}`),
    String(object),
    reason === undefined ? "" : out.dim(`(${reason})`),
  ];
  return parts.filter((part) => part !== "").join("  ");
}
