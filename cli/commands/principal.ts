/** `contix principal …`: for whom the kernel works. */
import type { Command } from "commander";
import type { Os, PrincipalInfo, Quota } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { type Colours, out } from "../colour.js";
import { finish, placeOf } from "../command.js";
import { CliError, usage } from "../errors.js";
import { count, table } from "../format.js";
import { print, printJson } from "../terminal.js";

interface QuotaOption {
  readonly quota?: readonly string[];
}

interface Json {
  readonly json?: true;
}

/** `contix principal` */
export function registerPrincipal(program: Command): void {
  const principal = program
    .command("principal")
    .description(
      "Principals: for whom agents work. Each has keys (`contix key`), contexts, pages and limits of its own, and sees nothing of the others'. You are `admin`. They are kept in principals.json of the home.",
    );
  const add = principal
    .command("add")
    .description("Add a principal. It can do nothing until it has a key.")
    .argument("<name>", "1 to 64 of a-z, 0-9, '.', '_' and '-'")
    .option("--quota <name=limit...>", "limits of its own, such as requestsPerSecond=50")
    .action((name: string, { quota = [] }: QuotaOption, self: Command) => {
      return asAdmin(self, async (os) => {
        await os.principals.add(name, { quota: readQuota(quota) });
        print(`${name} added; \`contix key add ${name}\` makes a key`);
      });
    });
  finish(add, [
    "contix principal add alice",
    "contix principal add bob --quota requestsPerSecond=50 tokensPerSecond=2000",
  ]);
  const quota = principal
    .command("quota")
    .description(
      "Show what a principal has of its own limits, or set them all: what is not named is the daemon's (`limits` in config.yaml). Names: requestsPerSecond, tokensPerSecond, faultsPerSecond (frames that say nothing; 0: no limit), tokens (in all), concurrentCalls, processes, contexts, contextTokens, pinnedPages, memoryPages, swapBytes, mailboxBytes, realtime.",
    )
    .argument("<name>", "the principal's")
    .argument("[name=limit...]", "its limits from now on; the word none: the daemon's")
    .action((name: string, words: string[], _: unknown, self: Command) => {
      return asAdmin(self, async (os) => {
        const none = words.length === 1 && words[0] === "none";
        if (words.length > 0) await os.principals.setQuota(name, none ? {} : readQuota(words));
        const one = (await os.principals.list()).find((info) => info.name === name);
        if (!one) throw new CliError(`there is no principal ${name}; see \`contix principal ls\``);
        print(quotaText(one.quota));
      });
    });
  finish(quota, ["contix principal quota alice", "contix principal quota alice tokens=1000000"]);
  const ls = principal
    .command("ls")
    .description("All principals: their keys, agents and contexts.")
    .option("--json", "as JSON: one array")
    .action((options: Json, self: Command) => {
      return asAdmin(self, async (os) => {
        const all = await os.principals.list();
        if (options.json === true) printJson(all);
        else print(principalsTable(all, out));
      });
    });
  finish(ls, ["contix principal ls"]);
  const rm = principal
    .command("rm")
    .description(
      "Remove principals: their agents are ended, their contexts closed, their pages forgotten and their keys void. There is no way back.",
    )
    .argument("<name...>", "their names")
    .action((names: string[], _: unknown, self: Command) => {
      return asAdmin(self, async (os) => {
        for (const name of names) {
          const { processes, contexts, keys } = await os.principals.remove(name);
          print(
            `${name} removed, with ${plural(processes, "agent")}, ${plural(contexts, "context")}, ${plural(keys, "key")}`,
          );
        }
      });
    });
  finish(rm, ["contix principal rm alice"]);
  finish(principal, ["contix principal add alice && contix key add alice", "contix principal ls"]);
}

/** `requestsPerSecond=50` and the like, as the SDK wants them. */
export function readQuota(words: readonly string[]): Quota {
  const quota: Record<string, number> = {};
  for (const word of words) {
    const [, name, limit] = /^([a-zA-Z]+)=(\d{1,15})$/.exec(word) ?? [];
    if (name === undefined) throw usage(`"${word}": give name=limit, as tokensPerSecond=2000`);
    if (Object.hasOwn(quota, name)) throw usage(`${name} is given twice`);
    quota[name] = Number(limit);
  }
  return quota;
}

function quotaText(quota: Quota): string {
  const lines = Object.entries(quota).map(([name, limit]) => `${name}=${limit}`);
  return lines.length === 0 ? "no limits of its own" : lines.join("\n");
}

/** The table of `contix principal ls`. */
export function principalsTable(principals: readonly PrincipalInfo[], colours: Colours): string {
  const columns = [
    { title: "PRINCIPAL" },
    { title: "KEYS", right: true },
    { title: "AGENTS", right: true },
    { title: "CONTEXTS", right: true },
    { title: "TOKENS", right: true },
    { title: "SINCE" },
  ];
  const rows = principals.map(({ name, keys, processes, contexts, tokens, createdAt }) => [
    name,
    ...[keys, processes, contexts, tokens].map(count),
    createdAt.toISOString().slice(0, 16).replace("T", " "),
  ]);
  return table(columns, rows, colours.dim);
}

/** Runs an act on the kernel. */
export async function asAdmin(self: Command, act: (os: Os) => Promise<void>): Promise<void> {
  await using os = await attach(
    placeOf(self),
    `contix ${self.parent?.name() ?? ""} ${self.name()}`,
  );
  await act(os);
}

/** `1 agent`, `2 agents`. */
export function plural(n: number, what: string): string {
  return `${count(n)} ${what}${n === 1 ? "" : "s"}`;
}
