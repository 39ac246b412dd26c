import { tmpdir } from "node:os";
import type { Command } from "commander";
import { modelsRoot } from "../../servers/llm/models/paths.js";
import { out } from "../colour.js";
import { finish, placeOf } from "../command.js";
import type { Check } from "../doctor/check.js";
import { checkConfig, checkDaemon, checkHome, checkModel } from "../doctor/installation.js";
import { checkIsolation } from "../doctor/isolation.js";
import {
  availableMemory,
  checkCpu,
  checkDisk,
  checkMemory,
  checkNode,
  cpuFlags,
} from "../doctor/machine.js";
import { checkNative } from "../doctor/runtime.js";
import { EXIT_FAILED } from "../errors.js";
import { print, printJson } from "../terminal.js";

interface Options {
  readonly json?: true;
}

/** `contix doctor` */
export function registerDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description(
      "Check this machine and installation; says what to do. Exits 1 when a check fails.",
    )
    .option("--json", "the checks as JSON")
    .action((options: Options, self: Command) => doctor(options, placeOf(self).home));
  finish(command, ["contix doctor", "contix doctor --json"]);
}

async function doctor(options: Options, home: string): Promise<void> {
  const checks = await examine(home);
  if (checks.some((check) => check.status === "fail")) process.exitCode = EXIT_FAILED;
  if (options.json === true) return printJson(checks);
  for (const check of checks) print(checkLine(check));
}

async function examine(home: string): Promise<Check[]> {
  const settings = checkConfig(home);
  return [
    checkNode(process.version),
    checkCpu(process.arch, cpuFlags()),
    checkMemory(availableMemory()),
    await checkDisk("disk", modelsRoot().root),
    await checkDisk("tmp", tmpdir()),
    ...(await checkNative()),
    checkHome(home),
    settings,
    // With a wrong configuration it is not known which model is meant.
    ...(settings.status === "fail" ? [] : await checkModel(home)),
    await checkDaemon(home),
    await checkIsolation(home),
  ];
}

/** A line: the verdict, what was checked, what was found, and what to do. */
export function checkLine({ name, status, found, fix }: Check): string {
  const colour = { ok: out.green, warn: out.yellow, fail: out.red }[status];
  const todo = fix === "" ? "" : `; ${fix}`;
  return `${colour(status.padEnd(4))}  ${name.padEnd(11)}  ${found}${todo}`;
}
