/** Reads every byte of a library again: is it still what it was? */

import { removeUnusedDirectory, removeUnusedFile } from "./holds.js";
import { type Shelf, sizeOf } from "./library-shelf.js";
import type { ModelVersion } from "./manifest.js";
import type { WorkOptions } from "./options.js";
import { checkSums, problemOf } from "./sums.js";

export interface VerifyOptions extends WorkOptions {
  /** Removes what is bad, unless it is in use, so that it can be brought anew. */
  readonly removeBad?: boolean | undefined;
}

/** What was found of one file or compiled model. */
export interface Finding {
  readonly name: string;
  readonly kind: "file" | "compiled";
  readonly path: string;
  /** "unknown": made before checksums were kept. */
  readonly state: "ok" | "missing" | "damaged" | "unknown";
  /** What to do; empty when it is in order. */
  readonly fix: string;
  /** Whether it was removed, as was asked for. */
  readonly removed: boolean;
}

export interface NamedVersion {
  readonly name: string;
  readonly version: ModelVersion;
}

/** Verifies the files of `models`, each once, and what they were compiled to. */
export async function verify(
  shelf: Shelf,
  models: readonly NamedVersion[],
  options: VerifyOptions = {},
): Promise<Finding[]> {
  const jobs = await jobsOf(shelf, models);
  const total = jobs.reduce((sum, { bytes }) => sum + bytes, 0);
  const findings: Finding[] = [];
  let done = 0;
  for (const job of jobs) {
    options.signal?.throwIfAborted();
    const finding = await job.run(options.signal);
    findings.push(options.removeBad && isBad(finding) ? await job.discard(finding) : finding);
    done += job.bytes;
    options.onProgress?.({ phase: "verify", done, total });
  }
  return findings;
}

export function isBad({ state }: Finding): boolean {
  return state === "missing" || state === "damaged";
}

interface Job {
  readonly bytes: number;
  readonly run: (signal: AbortSignal | undefined) => Promise<Finding>;
  readonly discard: (finding: Finding) => Promise<Finding>;
}

async function jobsOf(shelf: Shelf, models: readonly NamedVersion[]): Promise<Job[]> {
  const jobs = new Map<string, Job>();
  for (const { name, version } of models) {
    for (const file of version.files) {
      const path = shelf.blobs.path(file);
      if (!jobs.has(path)) jobs.set(path, fileJob(shelf, { name, version }, path, file));
    }
    for (const { dir, bytes } of await shelf.forms(version.digest)) {
      if (!jobs.has(dir)) jobs.set(dir, compiledJob(name, dir, bytes));
    }
  }
  return [...jobs.values()];
}

function fileJob(
  shelf: Shelf,
  { name, version }: NamedVersion,
  path: string,
  { digest, size }: ModelVersion["files"][number],
): Job {
  const run = async (signal: AbortSignal | undefined): Promise<Finding> => {
    const short = (await sizeOf(path)) !== size;
    const problem = await problemOf(path, digest, short ? undefined : signal);
    const fix = problem
      ? `contix model verify ${name} --remove-bad, then ${bringAnew(name, version)}`
      : "";
    return { name, kind: "file", path, state: problem ?? "ok", fix, removed: false };
  };
  const discard = async (finding: Finding): Promise<Finding> => {
    // Its export, if there is one, holds the same bytes.
    if (version.kind !== "gguf") await removeUnusedDirectory(shelf.exportDirectory(version));
    const removed = await removeUnusedFile(path);
    return { ...finding, removed, fix: removed ? bringAnew(name, version) : IN_USE };
  };
  return { bytes: size, run, discard };
}

function compiledJob(name: string, dir: string, bytes: number): Job {
  const again = `contix model path ${name}`;
  const run = async (signal: AbortSignal | undefined): Promise<Finding> => {
    const found = { name, kind: "compiled" as const, path: dir, removed: false };
    const bad = await checkSums(dir, signal);
    const [first] = bad ?? [];
    if (!bad) {
      const fix = `it has no checksums; for some, remove ${dir} and run \`${again}\``;
      return { ...found, state: "unknown", fix };
    }
    if (!first) return { ...found, state: "ok", fix: "" };
    const fix = `contix model verify ${name} --remove-bad; it is compiled again when it is used`;
    return { ...found, path: first.path, state: first.problem, fix };
  };
  const discard = async (finding: Finding): Promise<Finding> => {
    const removed = await removeUnusedDirectory(dir);
    const fix = removed ? "nothing: it is compiled again when it is used" : IN_USE;
    return { ...finding, removed, fix };
  };
  return { bytes, run, discard };
}

const IN_USE = "it is in use: end the daemon with `contix down`, then verify again";

/** How the files come back. */
function bringAnew(name: string, { source }: ModelVersion): string {
  if (source.startsWith("file ")) return `import ${source.slice(5)} again as ${name}`;
  if (source.startsWith("hf:")) return `contix model pull ${source} --name ${name}`;
  return `contix model pull ${name}`;
}
