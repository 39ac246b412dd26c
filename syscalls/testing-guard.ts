/**
 * Loaded into the daemon of a test kernel, by `--import`: ends it when whoever
 * started it is gone, whatever the way, and takes its home along. Its stdin is a
 * pipe that only the starter holds.
 */
import { rmSync } from "node:fs";

const home = process.env.CONTIX_HOME;

process.stdin.on("close", () => process.kill(process.pid, "SIGTERM"));
process.stdin.resume();
process.stdin.unref();

process.on("exit", () => {
  if (home !== undefined) rmSync(home, { recursive: true, force: true });
});
