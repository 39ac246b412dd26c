/**
 * A child that can not outlive this process. Between the two stands a shell that
 * holds the child's life to its standard input: when this process ends, also by
 * kill -9, the pipe closes and the shell ends the child. The shell's own death
 * closes nothing, so `endStale` looks for what an earlier daemon left behind.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** $0: the program; $@: its arguments. TERM first: it may have something to write down. */
const SCRIPT = `
exec 3<&0 </dev/null
"$0" "$@" 3<&- &
child=$!
( read -r never <&3; kill -TERM $child; sleep 2 3<&-; kill -KILL $child ) >/dev/null 2>&1 &
watch=$!
wait $child
code=$?
kill $watch 2>/dev/null
exit $code`;

/** Starts the program. Closing the child's stdin ends it; its output is piped. */
export function spawnGuarded(program: string, args: readonly string[]): ChildProcess {
  return spawn("/bin/sh", ["-c", SCRIPT, program, ...args], { stdio: ["pipe", "pipe", "pipe"] });
}

/** Ends the process that `pidFile` names, if it still runs with `argument` on its command line. */
export function endStale(pidFile: string, argument: string): boolean {
  try {
    const pid = Number(readFileSync(pidFile, "utf8").trim());
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    if (!words.includes(argument)) return false;
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}
