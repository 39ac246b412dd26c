/** Other programs that run to their end. */
import { spawn } from "node:child_process";

/**
 * Runs a program; what it prints goes to our standard error.
 * @throws Error when it can not be started or ends with another code than 0
 */
export async function command(program: string, args: readonly string[], cwd?: string) {
  const child = spawn(program, args, { cwd, stdio: ["ignore", process.stderr, process.stderr] });
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? signal));
  });
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}`);
}
