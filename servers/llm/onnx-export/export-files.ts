/**
 * The files of an export's directory: which graph is meant, which files hold its weights,
 * and that none of them lies elsewhere. A graph names its weight files itself, so a graph
 * from a stranger could name any file of this machine.
 */
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { ContixError } from "../../../proto/errno.js";

/** Longer JSON and templates are no model's. */
const LONGEST_TEXT = 128 << 20;

/** Graphs of decoders, best first: whole, or merged by older versions of Optimum. */
const STEMS = ["model", "decoder_model_merged"];
/** Kinds of weights, most exact first. */
const VARIANTS = ["", "_fp16", "_q8", "_int8", "_quantized", "_uint8", "_q4", "_q4f16", "_bnb4"];

/**
 * The graph of `dir`, or of its folder onnx/: the most exact there is. Relative to `dir`.
 * @throws ContixError EMODEL when there is none, with those there are
 */
export async function findGraph(dir: string): Promise<string> {
  const found: string[] = [];
  for (const folder of ["", "onnx"]) {
    const names = await readdir(join(dir, folder)).catch(() => []);
    found.push(...names.filter((name) => name.endsWith(".onnx")).map((n) => join(folder, n)));
  }
  if (found.length === 0) throw new ContixError("EMODEL", `${dir} has no .onnx file`);
  const names = VARIANTS.flatMap((variant) => STEMS.map((stem) => `${stem}${variant}.onnx`));
  const graph = names.flatMap((name) => found.filter((path) => basename(path) === name))[0];
  if (graph !== undefined) return graph;
  const there = found.map((path) => basename(path)).join(", ");
  throw new ContixError("EMODEL", `${dir} has no graph of a usual name; it has ${there}`);
}

/** Where config.json is: Optimum puts all into one folder, onnx-community graphs into one below. */
export async function homeOf(dir: string, graph: string): Promise<string> {
  const folder = join(dir, dirname(graph));
  return (await isThere(join(folder, "config.json"))) ? folder : dir;
}

/**
 * The real path of `name` in `dir`.
 * @throws ContixError EMODEL when it is no file of this directory
 */
export async function fileWithin(dir: string, name: string): Promise<string> {
  const path = resolve(dir, name);
  if (name.includes("\0") || name === "" || !isBelow(dir, path)) throw outside(dir, name);
  const real = await realpath(path).catch(() => {
    throw new ContixError("EMODEL", `${dir} has no file ${name}`);
  });
  const roots = await Promise.all([realpath(dir), ...cacheBlobs(dir)]);
  if (!roots.some((root) => isBelow(root, real))) throw outside(dir, name);
  if (!(await stat(real)).isFile()) throw new ContixError("EMODEL", `${name} is no file`);
  return real;
}

/** A cache of Hugging Face's links each file of snapshots/COMMIT into blobs/, beside it. */
function cacheBlobs(dir: string): Promise<string>[] {
  const snapshots = dirname(resolve(dir));
  if (basename(snapshots) !== "snapshots") return [];
  const blobs = join(dirname(snapshots), "blobs");
  return [realpath(blobs).catch(() => blobs)];
}

function isBelow(dir: string, path: string): boolean {
  const way = relative(resolve(dir), path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !way.startsWith(sep);
}

function outside(dir: string, name: string): ContixError {
  const shown = JSON.stringify(name.slice(0, 200));
  return new ContixError("EMODEL", `${shown} is no path within ${dir}: the export is not sound`);
}

/** A JSON file of the directory; undefined when there is none. */
export async function jsonFile(dir: string, name: string): Promise<unknown> {
  const text = await textFile(dir, name);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ContixError("EMODEL", `${join(dir, name)} is not JSON`, { cause });
  }
}

/** A text file of the directory; undefined when there is none. */
export async function textFile(dir: string, name: string): Promise<string | undefined> {
  if (!(await isThere(join(dir, name)))) return undefined;
  const path = await fileWithin(dir, name);
  if ((await stat(path)).size > LONGEST_TEXT) {
    throw new ContixError("EMODEL", `${join(dir, name)} is too long`);
  }
  return readFile(path, "utf8");
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
