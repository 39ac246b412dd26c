import type { Command } from "commander";
import type { Limit, Stats, Uname } from "../../syscalls/index.js";
import { attach } from "../attach.js";
import { out } from "../colour.js";
import { finish, placeOf } from "../command.js";
import { bytes, count, duration, rate } from "../format.js";
import { print, printJson } from "../terminal.js";

interface Options {
  readonly json?: true;
}

/** `contix stats` */
export function registerStats(program: Command): void {
  const command = program
    .command("stats")
    .description("What the kernel runs and has done since its start.")
    .option("--json", "as JSON")
    .action((options: Options, self: Command) => stats(options, self));
  finish(command, ["contix stats", "contix stats --json"]);
}

async function stats(options: Options, self: Command): Promise<void> {
  await using os = await attach(placeOf(self), "contix stats");
  const [uname, figures] = [await os.sys.uname(), await os.sys.stats()];
  const limits = await os.sys.limits();
  if (options.json === true) return printJson({ ...uname, ...figures, limits: inForce(limits) });
  for (const [name, value] of [...statsLines(uname, figures), ...limitsLines(os.principal, limits)])
    print(`${out.dim(name.padEnd(10))} ${value}`);
}

/** The lines of `contix stats`: a word, and what stands behind it. */
export function statsLines(uname: Uname, stats: Stats): [string, string][] {
  const perStep = stats.steps === 0 ? "-" : duration((stats.stepMs * 1000) / stats.steps);
  const perSecond = stats.stepMs === 0 ? "-" : rate((stats.tokensGenerated * 1000) / stats.stepMs);
  return [
    [
      "kernel",
      `${uname.kernelVersion}, process ${uname.daemonPid}, up ${duration(uname.uptimeMs * 1000)}`,
    ],
    ["model", `${uname.model}, window ${count(stats.slotTokens)} tokens`],
    ["driver", `${uname.driver}, process ${uname.driverPid}, ${restarts(stats.driverRestarts)}`],
    ["engine", uname.engineDigest],
    [
      "memory",
      `${bytes(stats.memoryUsed)} of ${bytes(stats.memoryBudget)} for drivers; see \`contix models\``,
    ],
    ["slots", `${stats.slotsUsed} of ${stats.slots} in use`],
    ["queue", `${stats.queued} waiting, at most ${count(stats.queueLimit)}`],
    [
      "tokens",
      `${count(stats.tokensPrefilled)} in, ${count(stats.tokensGenerated)} out, ${count(stats.tokensRecomputed)} recomputed`,
    ],
    ["steps", `${count(stats.steps)}, ${perStep} each; ${perSecond} tokens/s of engine time`],
    [
      "pages",
      `${count(stats.pagesMemoryUsed)} of ${count(stats.pagesMemory)} in memory, ${count(stats.pagesSwapUsed)} of ${count(stats.pagesSwap)} in swap, ${count(stats.pagesDropped)} dropped; see \`contix free\``,
    ],
    ["policy", `${stats.policy}, ${count(stats.contextSwitches)} context switches`],
    ["syscalls", `${count(stats.syscalls)}, ${count(stats.denied)} denied`],
    ...stats.door.map((one, i): [string, string] => [
      i === 0 ? "doors" : "",
      `${one.door}: ${count(one.connections)} connections, ${count(one.calls)} calls, ${bytes(one.bytesIn)} in, ${bytes(one.bytesOut)} out; ${count(one.refused)} refused`,
    ]),
  ];
}

/** Limits of the principal that asks, and what is in use of them: a line for each. */
export function limitsLines(principal: string, limits: readonly Limit[]): [string, string][] {
  const own = inForce(limits).filter((limit) => limit.of === "principal");
  return own.map(({ quota, limit, used }, i) => [
    i === 0 ? "limits" : "",
    `${quota} of ${principal}: ${count(used)} of ${count(limit)}`,
  ]);
}

function inForce(limits: readonly Limit[]): Limit[] {
  return limits.filter(({ limit }) => Number.isFinite(limit));
}

function restarts(n: number): string {
  if (n === 0) return "never restarted";
  return n === 1 ? "restarted once" : `restarted ${n} times`;
}
