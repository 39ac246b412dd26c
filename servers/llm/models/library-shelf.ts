/** What lies in a model library and how it hangs together: names, versions, files, compiled forms. */
import { copyFile, link, mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { BlobStore } from "./blobs.js";
import { choicePlace } from "./choose.js";
import { AnyCompiled, readAs } from "./compiled.js";
import { removeUnusedDirectory, usersOf } from "./holds.js";
import { isHeld, withLock } from "./lock.js";
import { ManifestStore, type ModelFile, type ModelVersion } from "./manifest.js";
import type { ModelPaths } from "./paths.js";
import type { FreeBytes } from "./space.js";
import { stageDirectory } from "./staging.js";

/** A compiled model's configuration, with whatever else is in it. */
const Config = z.looseObject(AnyCompiled.shape);
export type CompiledConfig = z.infer<typeof Config>;

/** What a version was compiled to. */
export interface CompiledEntry {
  readonly dir: string;
  readonly bytes: number;
  readonly config: CompiledConfig;
}

export class Shelf {
  readonly paths: ModelPaths;
  readonly manifests: ManifestStore;
  readonly blobs: BlobStore;
  readonly freeBytes: FreeBytes;

  constructor(paths: ModelPaths, freeBytes: FreeBytes) {
    this.paths = paths;
    this.manifests = new ManifestStore(paths.manifests);
    this.blobs = new BlobStore(paths.blobs);
    this.freeBytes = freeBytes;
  }

  /** Runs `work` while nobody else changes manifests. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    return withLock(this.paths.locks, "manifests", {}, work);
  }

  /** Makes a version the newest of its name. */
  async publish(name: string, version: ModelVersion): Promise<void> {
    await this.exclusively(async () => {
      const old = (await this.manifests.get(name))?.versions ?? [];
      const others = old.filter((other) => other.digest !== version.digest);
      await this.manifests.put({ format: 1, name, versions: [version, ...others] });
    });
  }

  /** Every version that has a name. */
  async versions(): Promise<ModelVersion[]> {
    return (await this.manifests.list()).flatMap(({ versions }) => versions);
  }

  /** The GGUF file of a version, or the directory of its export, which is linked if need be. */
  async pathOf(version: ModelVersion): Promise<string> {
    const [main] = version.files;
    if (version.kind === "gguf" && main) return this.blobs.path(main);
    const dir = this.exportDirectory(version);
    if (await isDirectory(dir)) return dir;
    await stageDirectory(dir, (staging) => this.#link(version, staging), { sums: false });
    return dir;
  }

  exportDirectory({ digest }: ModelVersion): string {
    return join(this.paths.exports, digest);
  }

  /** The directories in `compiled/`, whole or not. */
  async compiledDirectories(): Promise<string[]> {
    const names = await readdir(this.paths.compiled).catch(() => []);
    const shown = names.filter((name) => !name.startsWith("."));
    return shown.sort().map((name) => join(this.paths.compiled, name));
  }

  /** The compiled forms of the weights of this digest. */
  async forms(digest: string): Promise<CompiledEntry[]> {
    const found: CompiledEntry[] = [];
    for (const dir of await this.compiledDirectories()) {
      const config = await configOf(dir);
      if (config?.weightsDigest === digest) found.push({ dir, config, bytes: await sizeOf(dir) });
    }
    return found;
  }

  /** Who uses any form of a version, for people. */
  async usersOf(version: ModelVersion): Promise<string[]> {
    const dirs = (await this.forms(version.digest)).map(({ dir }) => dir);
    if (version.kind !== "gguf") dirs.push(this.exportDirectory(version));
    return [...new Set(dirs.flatMap((dir) => usersOf(dir)))];
  }

  /**
   * Removes what belongs to a version that no name means any more, but nothing that is
   * in use. Call it `exclusively`.
   */
  async dropUnnamed(version: ModelVersion): Promise<void> {
    // Somebody works on the same files, and will name them.
    if (version.files.some((file) => isHeld(this.blobs.path(file)))) return;
    const kept = await this.versions();
    if (!kept.some(({ digest }) => digest === version.digest)) {
      for (const { dir } of await this.forms(version.digest)) await removeUnusedDirectory(dir);
      const dir = this.exportDirectory(version);
      if (await isDirectory(dir)) await removeUnusedDirectory(dir);
      await rm(choicePlace(this.paths.compiled, version.digest), { force: true });
    }
    await this.dropUnneeded(version.files);
  }

  /** Removes those blobs that no version needs and nobody holds. Call it `exclusively`. */
  async dropUnneeded(files: readonly ModelFile[]): Promise<void> {
    const kept = (await this.versions()).flatMap((version) => version.files);
    const needed = new Set(kept.map((file) => this.blobs.path(file)));
    const gone = files.filter((file) => !needed.has(this.blobs.path(file)));
    for (const file of gone) await this.blobs.remove(file);
  }

  /** The blobs of an export under their names; they are copied where links can not be. */
  async #link(version: ModelVersion, staging: string): Promise<void> {
    for (const file of version.files) {
      const target = join(staging, file.path);
      await mkdir(dirname(target), { recursive: true });
      const blob = this.blobs.path(file);
      await link(blob, target).catch(() => copyFile(blob, target));
    }
  }
}

/** The configuration of a compiled model; undefined when it has none that can be read. */
export async function configOf(dir: string): Promise<CompiledConfig | undefined> {
  return readAs(dir, Config, []).catch(() => undefined);
}

/** Bytes of all files below a directory, or of a file. */
export async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return found?.size ?? 0;
  let sum = 0;
  for (const name of await readdir(path).catch(() => [])) sum += await sizeOf(join(path, name));
  return sum;
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
