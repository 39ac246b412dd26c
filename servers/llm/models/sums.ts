/**
 * Checksums beside the files of a directory, in the format of sha256sum(1): a
 * compiled model can be verified long after, by us or by `sha256sum -c`.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const SUMS = "SHA256SUMS";
const LINE = /^([0-9a-f]{64}) {2}(.+)$/;

/** The sha256 of a file, hex. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const options = { highWaterMark: 1 << 20, ...(signal && { signal }) };
  for await (const chunk of createReadStream(path, options)) hash.update(chunk);
  return hash.digest("hex");
}

/** Writes the checksums of the files of `dir`; directories within it are left out. */
export async function writeSums(dir: string): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  let text = "";
  for (const name of names.sort()) text += `${await hashFile(join(dir, name))}  ${name}\n`;
  await writeFile(join(dir, SUMS), text);
}

/** A file that is not as it was when its checksum was written. */
export interface BadFile {
  readonly path: string;
  readonly problem: "missing" | "damaged";
}

/** The files of `dir` that are not what they were; undefined when it has no checksums. */
export async function checkSums(dir: string, signal?: AbortSignal): Promise<BadFile[] | undefined> {
  const text = await readFile(join(dir, SUMS), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const bad: BadFile[] = [];
  for (const line of text.split("\n").filter((each) => each !== "")) {
    const [, sum, name = ""] = LINE.exec(line) ?? [];
    const path = join(dir, sum ? name : SUMS);
    const problem = sum ? await problemOf(path, sum, signal) : "damaged";
    if (problem) bad.push({ path, problem });
  }
  return bad;
}

/** What is wrong with the file at `path`, which should have that sha256. */
export async function problemOf(
  path: string,
  sum: string,
  signal?: AbortSignal,
): Promise<BadFile["problem"] | undefined> {
  try {
    return (await hashFile(path, signal)) === sum ? undefined : "damaged";
  } catch (error) {
    signal?.throwIfAborted();
    const absent = error instanceof Error && "code" in error && error.code === "ENOENT";
    // What the disk can not read is as good as changed.
    return absent ? "missing" : "damaged";
  }
}
