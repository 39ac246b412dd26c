/** Where the benchmark keeps what it makes once: a folder of the user's cache, never the checkout. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** A path in the cache: below CONTIX_BENCH_CACHE, else XDG_CACHE_HOME, else `~/.cache`. */
export function inCache(...path: string[]): string {
  const { CONTIX_BENCH_CACHE: own, XDG_CACHE_HOME: xdg } = process.env;
  return join(own ?? join(xdg ?? join(homedir(), ".cache"), "contix-bench"), ...path);
}

/**
 * The file at `path`, made by `make` when it is not there or its bytes are not those that were
 * made: their sha256 is kept beside it, in `<path>.sha256`.
 * @param make writes the file to the path that it is given
 */
export async function cachedFile(
  path: string,
  make: (path: string) => Promise<void>,
): Promise<string> {
  const known = await readFile(`${path}.sha256`, "utf8").catch(() => undefined);
  if (known !== undefined && (await sha256(path).catch(() => "")) === known) return path;
  const partial = `${path}.partial-${process.pid}`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await make(partial);
    await rm(`${path}.sha256`, { force: true });
    await rename(partial, path);
    await writeFile(`${path}.sha256`, await sha256(path));
  } finally {
    await rm(partial, { force: true });
  }
  return path;
}

/** The sha256 of a file, hex. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(path)) hash.update(part);
  return hash.digest("hex");
}
