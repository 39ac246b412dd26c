/** From what the user wrote after `contix run` to the command that the kernel starts. */
import { existsSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CliError } from "./errors.js";
import { packagePath } from "./package.js";

const TYPESCRIPT = new Set([".ts", ".mts", ".cts", ".tsx"]);
const JAVASCRIPT = new Set([".js", ".mjs", ".cjs"]);

/**
 * The command for a program: TypeScript by node with the tsx loader, JavaScript by node, anything
 * else as it stands (`python3 agent.py`, `./agent`).
 *
 * @param cwd where the command runs and a relative path starts.
 * @throws CliError when the file is not there or TypeScript cannot be run here.
 */
export function commandFor(program: string, args: readonly string[], cwd: string): string[] {
  const extension = extname(program).toLowerCase();
  if (!TYPESCRIPT.has(extension) && !JAVASCRIPT.has(extension)) return [program, ...args];
  const path = resolve(cwd, program);
  if (!existsSync(path)) throw new CliError(`no such program: ${program}`);
  if (!statSync(path).isFile()) throw new CliError(`not a file: ${program}`);
  const loader = TYPESCRIPT.has(extension) ? ["--import", tsxLoader(path, cwd)] : [];
  return [process.execPath, ...loader, path, ...args];
}

/** The name that `contix ps` shows: the program's file name without its extension. */
export function processName(program: string): string {
  const extension = extname(program).toLowerCase();
  const known = TYPESCRIPT.has(extension) || JAVASCRIPT.has(extension);
  return known ? basename(program, extname(program)) : basename(program);
}

/** tsx of the program's project, else of the working directory, else of this package. */
function tsxLoader(program: string, cwd: string): string {
  for (const from of [program, join(cwd, "x"), packagePath("x")]) {
    try {
      return pathToFileURL(createRequire(from).resolve("tsx")).href;
    } catch {
      // Not there: the next place may have it.
    }
  }
  throw new CliError(
    `cannot run ${basename(program)}: TypeScript needs tsx (npm install --save-dev tsx), or compile it and run the .js`,
  );
}
