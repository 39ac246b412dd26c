/**
 * A process for tests of sudden death: imports or pulls a model, and kills itself with
 * -9 at its n-th operation on files. One argument, JSON: `Death`. Prints how many
 * operations it took when it gets to the end.
 */
import fs from "node:fs";
import fsp from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import type { CatalogEntry } from "../catalog.js";

export interface Death {
  readonly root: string;
  readonly at: number;
  /** A file to import as "a"; or a model to pull. */
  readonly file?: string;
  readonly pull?: {
    readonly wanted: string;
    readonly url: string;
    readonly catalog: CatalogEntry[];
  };
}

// biome-ignore lint/suspicious/noExplicitAny: any function of the file system
type AnyFunction = (this: unknown, ...args: any[]) => unknown;

const death = JSON.parse(process.argv[2] ?? "") as Death;
let operations = 0;

/** Every call of `names` may be the last. Before and after one are both moments to die. */
function mortal(target: object, names: readonly string[]): void {
  for (const name of names) {
    const real = Reflect.get(target, name) as AnyFunction;
    Reflect.set(target, name, function (this: unknown, ...args: unknown[]) {
      if (++operations === death.at) process.kill(process.pid, "SIGKILL");
      return real.apply(this, args);
    });
  }
}

const handle = await fsp.open(process.execPath, "r");
mortal(Object.getPrototypeOf(handle) as object, ["write", "sync", "truncate", "close"]);
await handle.close();
mortal(fsp, ["mkdir", "open", "rename", "rm", "writeFile", "link", "readdir"]);
mortal(fs, ["write", "openSync", "closeSync", "rmSync"]);
syncBuiltinESMExports();

// Only now, so that it gets what is above.
const { openLibrary } = await import("../library.js");
operations = 0;
const library = openLibrary(death.root, death.pull?.catalog ?? []);
if (death.file !== undefined) await library.importFile(death.file, { name: "a" });
if (death.pull) {
  const { url, wanted } = death.pull;
  await library.pull(wanted, { hub: { url, rangeBytes: 50_000, connections: 2 } });
}
process.stdout.write(`${operations}\n`);
