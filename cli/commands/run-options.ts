/** Flags of `contix run` that say what a program is given and held to. */
import { resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { DURATION, durationUs, memoryBytes, SIZE } from "../../kernel/units.js";
import type { SpawnOptions } from "../../syscalls/index.js";
import { collect, number, whole } from "../command.js";
import { usage } from "../errors.js";

export interface ProgramFlags {
  readonly nice?: number;
  readonly class?: "realtime" | "interactive" | "batch";
  readonly quota?: readonly string[];
  readonly restart?: "never" | "on-failure" | "always";
  /** Milliseconds. */
  readonly watchdog?: number;
  readonly memory?: number;
  readonly cpu?: number;
  readonly permission?: true;
  readonly read?: readonly string[];
  readonly write?: readonly string[];
}

export function addProgramFlags(command: Command): Command {
  const classes = ["realtime", "interactive", "batch"];
  const policies = ["never", "on-failure", "always"];
  return command
    .option("--nice <n>", "-20 to 19: lower runs first", whole(-20, 19))
    .addOption(new Option("--class <class>", "ranks before nice").choices(classes))
    .option("--quota <name=limit>", "of it and all it spawns; may be given again", collect)
    .addOption(new Option("--restart <policy>", "start it again when it ends").choices(policies))
    .option("--watchdog <time>", "end it when it hangs for so long, such as 30s or 2m", readTime)
    .option("--memory <size>", "of each of its OS processes, such as 2GiB", readSize)
    .option("--cpu <seconds>", "CPU time in all", number(0.001, 1e9))
    .option(
      "--permission",
      "a Node program, of JavaScript: no files but its own, no child processes",
    )
    .option("--read <path>", "with --permission: it may read this too", collect)
    .option("--write <path>", "with --permission: it may write this", collect);
}

/** What the kernel is told of it. It leads a session: for the scheduler it is one program. */
export function spawnOptions(flags: ProgramFlags): SpawnOptions {
  const { nice, class: rank, restart, watchdog, memory, cpu, permission, quota = [] } = flags;
  const at = (paths: readonly string[] = []): string[] => paths.map((path) => resolve(path));
  return {
    ...{ nice, class: rank, restart, newSession: true, quota: readQuota(quota) },
    watchdog,
    confinement: {
      ...{ memoryBytes: memory, cpuSeconds: cpu, permission },
      ...{ read: at(flags.read), write: at(flags.write) },
    },
  };
}

/** `tokens=50000` */
function readQuota(items: readonly string[]): Record<string, number> {
  const quota: Record<string, number> = {};
  for (const item of items) {
    const [, name = "", limit = ""] = /^(\w+)=(\d{1,15})$/.exec(item) ?? [];
    if (name === "") throw usage(`--quota ${item}: write it as tokens=50000`);
    quota[name] = Number(limit);
  }
  return quota;
}

const A_DAY_MS = 86_400_000;

/** Milliseconds of `30s`, `2m`, or of seconds without a unit, as those of --cpu. */
function readTime(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text);
  const known = seconds || DURATION.test(text);
  const ms = seconds ? Number(text) * 1000 : durationUs(text) / 1000;
  if (known && ms >= 100 && ms <= A_DAY_MS) return ms;
  throw new InvalidArgumentError("a time such as 30s or 2m, from 100ms to 24h");
}

function readSize(text: string): number {
  const bytes = SIZE.test(text) ? memoryBytes(text, 0) : 0;
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError("a size such as 512MiB or 2GiB");
}
