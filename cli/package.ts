/** Where the files of this package are. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CliError } from "./errors.js";

/** A path inside this package, whether this file runs compiled or from its source. */
export function packagePath(...parts: readonly string[]): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json"))) {
    const parent = dirname(directory);
    if (parent === directory) throw new CliError("contix is not installed whole: reinstall it");
    directory = parent;
  }
  return join(directory, ...parts);
}
