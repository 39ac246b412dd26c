/** Where the model library lies on disk. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export interface ModelPaths {
  readonly root: string;
  /** The files of models, each named by its sha256. */
  readonly blobs: string;
  /** One JSON file for each name. */
  readonly manifests: string;
  /** Compiled models, each a directory named by its engine digest. */
  readonly compiled: string;
  /** ONNX exports as directories, each named by its digest; their files are those of `blobs`. */
  readonly exports: string;
  /** Downloads that are not whole yet. */
  readonly partial: string;
  /** Locks between processes. */
  readonly locks: string;
}

/** The library at `root`; by default that of CONTIX_MODELS, else `~/.contix/models`. */
export function modelsRoot(root = process.env.CONTIX_MODELS): ModelPaths {
  const base = resolve(root || join(homedir(), ".contix", "models"));
  return {
    root: base,
    blobs: join(base, "blobs"),
    manifests: join(base, "manifests"),
    compiled: join(base, "compiled"),
    exports: join(base, "exports"),
    partial: join(base, "partial"),
    locks: join(base, "locks"),
  };
}
