/**
 * What is in the directory of an ONNX export: read and judged without running anything.
 */
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";
import { fileWithin, findGraph, homeOf, jsonFile, textFile } from "./export-files.js";
import { readGraphFile } from "./graph-file.js";
import { type Layout, layoutOf } from "./layout.js";
import { readTextSettings, type TextSettings } from "./text-settings.js";

/** A file that the graph needs beside it. */
export interface ExportFile {
  /** Relative to the graph's folder. */
  readonly name: string;
  readonly path: string;
}

export interface ExportFacts {
  /** The family, as config.json names it. */
  readonly arch: string;
  readonly license: string;
  /** The graph first, then the files of its weights. */
  readonly files: readonly ExportFile[];
  /** Operator types of the graph. */
  readonly ops: ReadonlySet<string>;
  readonly layout: Layout;
  /** The most positions the model was made for. */
  readonly window: number;
  readonly text: TextSettings;
}

export interface InspectOptions {
  /** Which of several graphs, a path in the directory; by default the most exact. */
  readonly graph?: string | undefined;
}

const size = z.number().int().positive().max(1_000_000_000).nullish();
const Config = z.object({
  model_type: z.string().min(1).max(100).nullish(),
  vocab_size: size,
  hidden_size: size,
  num_attention_heads: size,
  num_key_value_heads: size,
  head_dim: size,
  max_position_embeddings: size,
  n_positions: size,
  max_seq_len: size,
  text_config: z.unknown().optional(),
});
type Config = z.infer<typeof Config>;

const SMALLEST_WINDOW = 8;

/** Operators whose output is not decided by their input. */
const RANDOM = [
  "RandomNormal",
  "RandomNormalLike",
  "RandomUniform",
  "RandomUniformLike",
  "Multinomial",
  "Bernoulli",
];

/**
 * Reads the export in `dir`.
 * @throws ContixError EMODEL that says what is missing, not sound, or of no kind that runs here
 */
export async function inspectExport(
  dir: string,
  { graph: wanted }: InspectOptions = {},
): Promise<ExportFacts> {
  const name = wanted ?? (await findGraph(dir));
  const graphPath = await fileWithin(dir, name);
  const folder = join(dir, dirname(name));
  const home = await homeOf(dir, name);
  const config = await readConfig(home);
  const graph = readGraphFile(graphPath);
  const random = RANDOM.find((op) => graph.ops.has(op));
  if (random !== undefined) {
    throw new ContixError(
      "EMODEL",
      `the export can not be run: ${random} gives other results each time`,
    );
  }
  const layout = layoutOf(graph, {
    vocab: config.vocab_size ?? undefined,
    kvHeads: config.num_key_value_heads ?? config.num_attention_heads ?? undefined,
    headDim: headDim(config),
  });
  const weights = [...graph.external].sort();
  return {
    arch: config.model_type ?? "unknown",
    license: await licenseOf(home),
    files: [
      { name: basename(name), path: graphPath },
      ...(await Promise.all(
        weights.map(async (name) => ({ name, path: await fileWithin(folder, name) })),
      )),
    ],
    ops: graph.ops,
    layout,
    window: windowOf(config),
    text: await readTextSettings(home, layout.vocab),
  };
}

/** config.json; models that also see or hear keep the decoder's part in text_config. */
async function readConfig(dir: string): Promise<Config> {
  const json = await jsonFile(dir, "config.json");
  if (json === undefined) {
    throw new ContixError("EMODEL", `${dir} is no ONNX export: it has no config.json`);
  }
  const outer = parse(json);
  const inner = outer.text_config ? parse(outer.text_config) : {};
  const given = Object.entries(inner).filter(([, value]) => value !== null && value !== undefined);
  return { ...outer, ...Object.fromEntries(given) };
}

function parse(json: unknown): Config {
  const parsed = Config.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new ContixError(
    "EMODEL",
    `config.json: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`,
  );
}

function windowOf(config: Config): number {
  const window = config.max_position_embeddings ?? config.n_positions ?? config.max_seq_len;
  if (window && window < SMALLEST_WINDOW) {
    throw new ContixError("EMODEL", `config.json: a window of ${window} tokens is too small`);
  }
  if (window) return window;
  throw new ContixError("EMODEL", "config.json does not say max_position_embeddings");
}

function headDim(config: Config): number | undefined {
  if (config.head_dim) return config.head_dim;
  const { hidden_size: hidden, num_attention_heads: heads } = config;
  return hidden && heads && hidden % heads === 0 ? hidden / heads : undefined;
}

/** The license that the head of README.md names, where there is one. */
async function licenseOf(dir: string): Promise<string> {
  const readme = await textFile(dir, "README.md").catch(() => undefined);
  const [, head = ""] = readme?.match(/^---\r?\n([\s\S]*?)\r?\n---/) ?? [];
  return head.match(/^license:\s*["']?([\w.+-]+)/m)?.[1] ?? "unknown";
}
