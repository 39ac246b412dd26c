import { type Command, InvalidArgumentError, Option } from "commander";
import type { ProcInfo, Sched } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { type Colours, out } from "../colour.js";
import { finish, placeOf, whole } from "../command.js";
import { usage } from "../errors.js";
import { count, duration, table } from "../format.js";
import { print, printJson } from "../terminal.js";
import { printable } from "../top/cells.js";

interface SetOptions {
  readonly quantum?: number;
  readonly weight?: readonly Weight[];
  readonly json?: true;
}

interface Weight {
  readonly principal: string;
  readonly weight: number;
}

/** `contix sched` and `contix sched set` */
export function registerSched(program: Command): void {
  const command = program
    .command("sched")
    .description("Who holds the slots: the policy in force, who waits, and what everyone has had.")
    .option("--json", "as JSON")
    .action((options: { readonly json?: true }, self: Command) =>
      show(options.json === true, self),
    );
  finish(command, [
    "contix sched",
    "contix sched set program",
    "contix sched set fair --weight bob=3",
  ]);
  const set = command
    .command("set")
    .description("Another policy from the next step on. Nothing that runs or waits is lost.")
    .argument("[policy]", "fifo, rr, priority, mlfq, program or fair; as it is by default")
    .option("--quantum <tokens>", "what one may generate before its turn ends", whole(1, 65_536))
    .addOption(
      new Option(
        "--weight <principal=n>",
        "its share under fair; may be given several times",
      ).argParser(readWeight),
    )
    .option("--json", "what is in force then, as JSON")
    .action((policy: string | undefined, options: SetOptions, self: Command) =>
      change(policy, options, self),
    );
  finish(set, [
    "contix sched set rr --quantum 16",
    "contix sched set fair --weight bob=3 --weight ann=1",
  ]);
}

function readWeight(text: string, before: readonly Weight[] = []): Weight[] {
  const [, principal = "", weight = ""] = /^(.+)=(\d{1,4})$/.exec(text) ?? [];
  if (principal === "" || Number(weight) < 1 || Number(weight) > 1000)
    throw new InvalidArgumentError("must be a principal, =, and a whole number from 1 to 1000");
  return [...before, { principal, weight: Number(weight) }];
}

async function show(json: boolean, self: Command): Promise<void> {
  await using os = await attach(placeOf(self), "contix sched");
  const [sched, procs] = await Promise.all([os.sys.sched(), os.proc.ps()]);
  const shares = sharesOf(
    procs.filter(({ pid }) => pid !== os.pid),
    sched,
  );
  if (json) return printJson({ ...sched, shares });
  print(schedText(sched, shares, out));
}

async function change(
  policy: string | undefined,
  { quantum, weight = [], json }: SetOptions,
  self: Command,
): Promise<void> {
  if (policy === undefined && quantum === undefined && weight.length === 0)
    throw usage("contix sched set: name a policy, --quantum or --weight");
  await using os = await attach(placeOf(self), "contix sched set");
  await os.sys.schedSet({ policy, quantum, weights: weight });
  const sched = await os.sys.sched();
  if (json === true) printJson(sched);
  else print(inForce(sched));
}

/** What the agents of one principal have, and have had. */
export interface Share extends Weight {
  readonly processes: number;
  readonly running: number;
  readonly waiting: number;
  readonly tokensOut: number;
  /** Of all tokens that agents which are there have generated; 0 to 1. */
  readonly share: number;
}

/** Per principal that the caller sees, those with most tokens first. */
export function sharesOf(procs: readonly ProcInfo[], { weights }: Pick<Sched, "weights">): Share[] {
  const all = procs.reduce((sum, { tokensOut }) => sum + tokensOut, 0);
  return [...new Set(procs.map(({ principal }) => principal))]
    .map((principal) => {
      const own = procs.filter((proc) => proc.principal === principal);
      const tokensOut = own.reduce((sum, proc) => sum + proc.tokensOut, 0);
      return {
        principal,
        weight: weights.find((one) => one.principal === principal)?.weight ?? 1,
        processes: own.length,
        running: own.filter(({ state }) => state === "running").length,
        waiting: own.filter(({ waitingOn }) => waitingOn === "slot").length,
        tokensOut,
        share: all === 0 ? 0 : tokensOut / all,
      };
    })
    .sort((a, b) => b.tokensOut - a.tokensOut);
}

/** The text of `contix sched`. */
export function schedText(sched: Sched, shares: readonly Share[], colours: Colours): string {
  const parts = [inForce(sched), "", queueTable(sched, colours)];
  if (shares.length > 0) parts.push("", shareTable(shares, colours));
  return parts.join("\n");
}

function inForce({ policy, quantum, policies }: Sched): string {
  const others = policies.filter((name) => name !== policy).join(", ");
  return `policy ${policy}, quantum ${count(quantum)} tokens; others: ${others}`;
}

function queueTable({ queues }: Sched, colours: Colours): string {
  const columns = [
    { title: "MODEL" },
    { title: "CLASS" },
    { title: "RUNNING", right: true },
    { title: "WAITING", right: true },
    { title: "SLOTS", right: true },
    { title: "ADMITTED", right: true },
    { title: "REFUSED", right: true },
    { title: "RETRY", right: true },
    { title: "DECISIONS", right: true },
    { title: "SWITCHES", right: true },
  ];
  const rows = queues.flatMap(({ model, classes, ...queue }) =>
    classes.map(({ class: kind, running, waiting }, i) => [
      i === 0 ? printable(model) : "",
      kind,
      count(running),
      count(waiting),
      ...(i > 0
        ? []
        : [
            count(queue.slots),
            `${count(queue.admitted)}/${count(queue.limit)}`,
            count(queue.refused),
            duration(queue.retryMs * 1000),
            count(queue.decisions),
            count(queue.contextSwitches),
          ]),
    ]),
  );
  return table(columns, rows, colours.bold);
}

function shareTable(shares: readonly Share[], colours: Colours): string {
  const columns = [
    { title: "PRINCIPAL" },
    { title: "WEIGHT", right: true },
    { title: "AGENTS", right: true },
    { title: "RUNNING", right: true },
    { title: "WAITING", right: true },
    { title: "OUT", right: true },
    { title: "SHARE", right: true },
  ];
  const rows = shares.map((one) => [
    printable(one.principal),
    String(one.weight),
    ...[one.processes, one.running, one.waiting, one.tokensOut].map(count),
    `${(one.share * 100).toFixed(1)} %`,
  ]);
  return table(columns, rows, colours.bold);
}
