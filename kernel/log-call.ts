/**
 * sys.log: a process writes a line to its log. The log of one that the kernel started is
 * the file that its output goes to; a line of the daemon's log is JSON too, so one reader
 * fits both. The file is no part of the journal, so the call is external: its intent is
 * recorded first, and where a crash fell between, the caller gets EUNKNOWN.
 */
import { ContixError } from "../proto/errno.js";
import { argumentsOf } from "./args.js";
import type { Call } from "./call.js";
import { showId } from "./ids.js";
import type { Kernel } from "./kernel.js";

const LEVELS = ["debug", "info", "warn", "error"] as const;
type Level = (typeof LEVELS)[number];
/** Characters of message and fields together. */
const LONGEST = 65_536;

export async function writeLog(kernel: Kernel, call: Call): Promise<void> {
  const { level: wanted, message, fields: text } = argumentsOf(call, "log");
  const level = (wanted || "info") as Level;
  if (!LEVELS.includes(level)) {
    const what = `level is "${wanted.slice(0, 16)}"; it must be one of ${LEVELS.join(", ")}`;
    throw new ContixError("EINVAL", what, { argument: "level" });
  }
  if (message.length + text.length > LONGEST) {
    const what = `a line of ${message.length + text.length} characters; at most ${LONGEST}`;
    throw new ContixError("EMSGSIZE", what, { argument: "message" });
  }
  const fields = parseFields(text);
  const { pid, log } = call.process;
  if (log === "") kernel.log[level]({ process: showId(pid), ...fields }, message);
  else {
    const time = new Date(kernel.clock.wall()).toISOString();
    // The message last and the fixed fields over the caller's: nobody writes as another.
    const line = { ...fields, time, level, process: showId(pid), message };
    await kernel.procs.logs.of(pid)?.append(Buffer.from(`${JSON.stringify(line)}\n`));
  }
  call.done({ $case: "log", value: {} });
}

function parseFields(text: string): Record<string, unknown> {
  if (text === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // Said below.
  }
  throw new ContixError("EINVAL", "fields must be JSON of the form {…}", { argument: "fields" });
}
