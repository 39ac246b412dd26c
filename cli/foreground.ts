/** Runs a program on this terminal, attached to the daemon: for agents that read what is typed. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import type { Place } from "./command.js";
import { CliError } from "./errors.js";

/**
 * The program gets this terminal's input and output, and finds the daemon by its environment: it
 * attaches with the home's token when it connects.
 *
 * @returns its exit code; 128 + n when signal n ended it.
 */
export function runHere(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  place: Place,
): Promise<number> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, {
    stdio: "inherit",
    env: { ...process.env, ...env, ...endpointVariables(place) },
  });
  // The terminal sends Ctrl-C to the program too, and it is the program that decides.
  const ignore = (): void => undefined;
  const handOn = (): void => void child.kill("SIGTERM");
  process.on("SIGINT", ignore);
  process.on("SIGTERM", handOn);
  return new Promise<number>((resolve, reject) => {
    child.once("error", (error) => reject(new CliError(`cannot run ${program}: ${error.message}`)));
    child.once("exit", (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  }).finally(() => {
    process.off("SIGINT", ignore);
    process.off("SIGTERM", handOn);
  });
}

/** What the SDK reads; an undefined variable is left out, so that a named home is not overruled. */
function endpointVariables(place: Place): NodeJS.ProcessEnv {
  const named = place.homeGiven
    ? { CONTIX_HOME: place.home, CONTIX_ADDRESS: undefined, CONTIX_TOKEN: undefined }
    : {};
  return place.address === undefined ? named : { ...named, CONTIX_ADDRESS: place.address };
}
