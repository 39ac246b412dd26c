/** `contix key …`: API keys. */
import { type Command, InvalidArgumentError } from "commander";
import type { KeyInfo, NewKey } from "../../syscalls/index.js";
import { type Colours, out } from "../colour.js";
import { collect, finish } from "../command.js";
import { count, table } from "../format.js";
import { print, printJson, remark } from "../terminal.js";
import { asAdmin, plural } from "./principal.js";

interface Json {
  readonly json?: true;
}
interface AddOptions extends Json {
  readonly name?: string;
  readonly scope?: readonly string[];
  readonly expires?: number;
}
interface RotateOptions extends Json {
  readonly grace?: number;
  readonly expires?: number;
}

const EXPIRES = "after so long, such as 90m, 12h or 30d; default: never";

/** `contix key` */
export function registerKey(program: Command): void {
  const key = program
    .command("key")
    .description(
      "API keys. A program attaches with one in CONTIX_TOKEN and works for the key's principal. The daemon keeps only a hash; keys last beyond its end.",
    );
  registerMake(key);
  const ls = key
    .command("ls")
    .description("The keys of a principal, or of all; also those that are void.")
    .argument("[principal]", "its name")
    .option("--json", "as JSON: one array")
    .action((principal: string | undefined, options: Json, self: Command) => {
      return asAdmin(self, async (os) => {
        const keys = await os.principals.keys(principal ?? "");
        if (options.json === true) printJson(keys);
        else print(keysTable(keys, out, new Date()));
      });
    });
  finish(ls, ["contix key ls", "contix key ls alice --json"]);
  const revoke = key
    .command("revoke")
    .description("Make keys void, at once: the agents that live by them are ended.")
    .argument("<id...>", "their ids, as in `contix key ls`")
    .action((ids: string[], _: unknown, self: Command) => {
      return asAdmin(self, async (os) => {
        for (const id of ids) {
          const ended = await os.principals.revokeKey(idOf(id));
          print(`${idOf(id)} revoked, ${plural(ended, "agent")} ended`);
        }
      });
    });
  finish(revoke, ["contix key revoke 3kq0wz5nmbte"]);
  finish(key, ["contix key add alice --scope llm --scope ctx --expires 30d", "contix key ls"]);
}

function registerMake(key: Command): void {
  const add = key
    .command("add")
    .description("Make a key for a principal. It is shown this once.")
    .argument("<principal>", "its name; `contix principal add` makes one")
    .option("--name <text>", "what it is for")
    .option(
      "--scope <group>",
      "a group of calls that it opens: llm, ctx, proc, ipc, time, cap, sys, ...; admin for principals, keys and the audit. May be given several times; default: all but admin",
      collect,
    )
    .option("--expires <time>", EXPIRES, span)
    .option("--json", "as JSON")
    .action((principal: string, options: AddOptions, self: Command) => {
      return asAdmin(self, async (os) => {
        const { name, scope: scopes, expires: ttlMs, json } = options;
        show(await os.principals.addKey(principal, { name, scopes, ttlMs }), json);
      });
    });
  finish(add, ["contix key add alice", "CONTIX_TOKEN=$(contix key add alice) node agent.js"]);
  const rotate = key
    .command("rotate")
    .description(
      "Make a new key like an old one. The old one is void at once, and the agents that live by it are ended, or after --grace.",
    )
    .argument("<id>", "the old one's id, as in `contix key ls`")
    .option("--grace <time>", "the old one is good for so long, such as 10m", span)
    .option("--expires <time>", `the new one's end: ${EXPIRES}`, span)
    .option("--json", "as JSON")
    .action((id: string, { grace, expires, json }: RotateOptions, self: Command) => {
      return asAdmin(self, async (os) => {
        const options = {
          ...(grace !== undefined && { graceMs: grace }),
          ttlMs: expires,
        };
        show(await os.principals.rotateKey(idOf(id), options), json);
      });
    });
  finish(rotate, ["contix key rotate 3kq0wz5nmbte --grace 1h"]);
}

/** The key alone on stdout, so that `$(…)` has it; what to know of it beside. */
function show(made: NewKey, json: true | undefined): void {
  if (json === true) {
    printJson(made);
    return;
  }
  print(made.key);
  remark(`key ${made.id}: shown this once; keep it as you keep a password`);
}

/** The table of `contix key ls`. */
export function keysTable(keys: readonly KeyInfo[], colours: Colours, now: Date): string {
  const columns = [
    { title: "KEY" },
    { title: "PRINCIPAL" },
    { title: "NAME" },
    { title: "SCOPES" },
    { title: "AGENTS", right: true },
    { title: "STATE" },
  ];
  const rows = keys.map((key) => [
    key.id,
    key.principal,
    key.name,
    key.scopes.map((scope) => (scope === "*" ? "all but admin" : scope)).join(","),
    count(key.processes),
    stateOf(key, now),
  ]);
  return table(columns, rows, colours.dim);
}

function stateOf({ expiresAt, revokedAt }: KeyInfo, now: Date): string {
  const day = (at: Date): string => at.toISOString().slice(0, 16).replace("T", " ");
  if (revokedAt !== null) return `revoked ${day(revokedAt)}`;
  if (expiresAt === null) return "good";
  return expiresAt <= now ? `expired ${day(expiresAt)}` : `good until ${day(expiresAt)}`;
}

/** The id in what was given: an id, or a whole key. */
function idOf(text: string): string {
  return /^ctx_([a-z0-9]+)_/.exec(text)?.[1] ?? text;
}

const UNITS: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 };

/** Milliseconds of `90m`, `12h`, `30d`. */
function span(text: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNITS[unit] ?? 0);
  if (ms > 0) return ms;
  throw new InvalidArgumentError("must be a time such as 30s, 90m, 12h or 30d");
}
