/** How far a simulation is: on a terminal only, a pipe gets the result and nothing else. */
import { SingleBar } from "cli-progress";

export function progress(): SingleBar | undefined {
  if (!process.stderr.isTTY) return undefined;
  const bar = new SingleBar({
    format: "{bar} {percentage} % {what}",
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  bar.start(1, 0, { what: "" });
  return bar;
}
