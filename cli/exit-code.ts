/** An agent's end as the exit code of the command that ran it. */
import { constants } from "node:os";
import type { Exit } from "../syscalls/index.js";

/** The agent's own code; as in a shell, 128 + n when signal n ended it. */
export function exitCodeFor(exit: Pick<Exit, "exitCode" | "cause">): number {
  const name = /^signal (?:SIG)?(\w+)/.exec(exit.cause)?.[1];
  const number = name === undefined ? undefined : signalNumbers().get(`SIG${name}`);
  return number === undefined ? exit.exitCode : 128 + number;
}

function signalNumbers(): ReadonlyMap<string, number> {
  return new Map(Object.entries(constants.signals));
}
