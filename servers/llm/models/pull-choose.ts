/**
 * Which files of a repository make a model: one GGUF file, or a graph with its
 * external data, its configuration and its tokenizer; of an embedding model the weights
 * do without a graph. Where the choice is not plain,
 * it is the user's: the error lists what there is.
 */
import { posix } from "node:path";
import { ContixError } from "../../../proto/errno.js";

export interface RepoFile {
  readonly path: string;
  readonly size: number;
}

export interface Choice<F extends RepoFile> {
  readonly kind: "gguf" | "onnx" | "safetensors";
  /** The GGUF file or the graph: one of the files. */
  readonly main: string;
  readonly files: readonly F[];
}

/** Nearly the original, and what most repositories have: the one that loses least comes first. */
const PREFERRED = ["Q8_0", "Q4_K_M"] as const;

/** Whole graphs, as onnx-community and Optimum lay them out. */
const GRAPHS = [
  "onnx/model.onnx",
  "model.onnx",
  "onnx/decoder_model_merged.onnx",
  "decoder_model_merged.onnx",
];

/** Weights of an embedding model, and what says that it is one. */
const WEIGHTS = "model.safetensors";
const SENTENCES = "modules.json";

const CONFIG = "config.json";
const TOKENIZER = "tokenizer.json";
/** Taken along with an export when they are there. */
const BESIDE = [
  "README.md",
  "LICENSE",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "generation_config.json",
  "chat_template.jinja",
  "chat_template.json",
  "modules.json",
  "sentence_bert_config.json",
  "1_Pooling/config.json",
];

/**
 * The files of `wanted` (a path, a file's name, or a quantization's), or of the best
 * model where nothing is wanted. `where` names the repository in errors.
 * @throws ContixError EINVAL when there are several, ENOENT when there is none; both
 * list what there is.
 */
export function chooseFiles<F extends RepoFile>(
  files: readonly F[],
  wanted: string | undefined,
  where: string,
): Choice<F> {
  const ggufs = files.filter(({ path }) => isModel(path));
  const graphs = files.filter(({ path }) => path.endsWith(".onnx"));
  if (wanted !== undefined) return chosen(files, theOne(ggufs, graphs, wanted, where), where);
  const [only] = ggufs;
  if (only && ggufs.length === 1) return chosen(files, only, where);
  for (const name of PREFERRED) {
    const [match, ...others] = ggufs.filter(({ path }) => isQuantization(path, name));
    if (match && others.length === 0) return chosen(files, match, where);
  }
  if (ggufs.length > 0) {
    const what = `${where} has several GGUF files, none of them ${PREFERRED.join(" or ")}`;
    throw new ContixError("EINVAL", `${what}: name one after a colon: ${listOf(ggufs)}`, {
      argument: "file",
    });
  }
  const graph = GRAPHS.flatMap((path) => graphs.filter((file) => file.path === path))[0];
  if (graph) return chosen(files, graph, where);
  // Only these are built without a graph; the weights of others would come in vain.
  const weights = files.find(({ path }) => path === WEIGHTS);
  if (weights && files.some(({ path }) => path === SENTENCES)) return chosen(files, weights, where);
  throw nothing(files, where);
}

function theOne<F extends RepoFile>(
  ggufs: readonly F[],
  graphs: readonly F[],
  wanted: string,
  where: string,
): F {
  const all = [...ggufs, ...graphs];
  const tests: ((path: string) => boolean)[] = [
    (path) => path === wanted,
    (path) => posix.basename(path) === wanted,
    (path) => isQuantization(path, wanted),
  ];
  for (const test of tests) {
    const [match, ...others] = all.filter(({ path }) => test(path));
    if (match && others.length === 0) return match;
    if (match) {
      const many = `${where} has several files "${wanted}": give the path of one of these`;
      throw new ContixError("EINVAL", `${many}: ${listOf([match, ...others])}`, {
        argument: "file",
      });
    }
  }
  const split = `${where} has no GGUF file and no graph "${wanted}"`;
  throw new ContixError("ENOENT", `${split}: it has ${listOf(all)}`, { argument: "file" });
}

const KINDS: Readonly<Record<string, Choice<RepoFile>["kind"]>> = {
  ".onnx": "onnx",
  ".safetensors": "safetensors",
};

function chosen<F extends RepoFile>(files: readonly F[], main: F, where: string): Choice<F> {
  const kind = KINDS[posix.extname(main.path)] ?? "gguf";
  if (kind === "gguf") return { kind, main: main.path, files: [main] };
  const named = (path: string) => files.find((file) => file.path === path);
  // Optimum puts all in one directory; onnx-community the graphs in one below.
  const home = named(posix.join(posix.dirname(main.path), CONFIG)) ? posix.dirname(main.path) : ".";
  const needed = [CONFIG, TOKENIZER].map((name) => {
    const file = named(posix.join(home, name));
    if (file) return file;
    throw new ContixError("ENOENT", `${where} has no ${name}: ${main.path} can not run without`);
  });
  const beside = BESIDE.flatMap((name) => named(posix.join(home, name)) ?? []);
  const data = files.filter(({ path }) => isDataOf(main.path, path));
  return { kind, main: main.path, files: [main, ...data, ...needed, ...beside] };
}

/** A whole model: no part of one, no vision tower, no statistics for quantizing. */
function isModel(path: string): boolean {
  const name = posix.basename(path);
  return /\.gguf$/i.test(name) && !isPart(name) && !/mmproj|imatrix/i.test(name);
}

function isPart(name: string): boolean {
  return /-\d{5}-of-\d{5}\.gguf$/i.test(name);
}

/** "q4_k_m" is the quantization of "SmolLM2.Q4_K_M.gguf", "fp16" that of "model_fp16.onnx". */
function isQuantization(path: string, name: string): boolean {
  // Not "0" or "M": they end many names.
  if (!/^[a-z]+\d|^quantized$/i.test(name)) return false;
  const stem = posix.basename(path).replace(/\.(gguf|onnx)$/i, "");
  const end = stem.slice(-name.length - 1).toLowerCase();
  const wanted = name.toLowerCase();
  return end === wanted || (/^[-._]/.test(end) && end.slice(1) === wanted);
}

/** External data of a graph as exporters name it: model.onnx_data, model.onnx_data_1, model.onnx.data. */
function isDataOf(graph: string, path: string): boolean {
  return path.startsWith(graph) && /^[._]data(_\d+)?$/.test(path.slice(graph.length));
}

function nothing(files: readonly RepoFile[], where: string): ContixError {
  const parts = files.some(({ path }) => isPart(path));
  const what = parts ? "only GGUF files in parts, which can not be read" : "no GGUF file";
  const has = `${where} has ${what}, and no ONNX export (onnx/model.onnx)`;
  return new ContixError("ENOENT", `${has}: it has ${listOf(files)}`, { argument: "name" });
}

function listOf(files: readonly RepoFile[]): string {
  if (files.length === 0) return "no files";
  const shown = files.slice(0, 40).map(({ path, size }) => `${path} (${megabytes(size)})`);
  const more = files.length > shown.length ? ` and ${files.length - shown.length} more` : "";
  return shown.join(", ") + more;
}

function megabytes(size: number): string {
  return `${(size / 1e6).toFixed(size < 1e6 ? 2 : 0)} MB`;
}
