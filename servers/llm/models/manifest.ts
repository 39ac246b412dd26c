/**
 * Manifests: one JSON file for each model name, with its versions, newest first.
 * A version is a GGUF file, named by its sha256, or the files of an ONNX export or an
 * embedding model, named by the sha256 of their list.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";
import { diskFull } from "./staging.js";

const digest = z.string().regex(/^[0-9a-f]{64}$/);

/** A path that stays in its directory. */
const inside = z.string().refine(isInside, "leads out of its directory");

export const ModelFile = z.object({
  /** Where it lies in the model's directory. */
  path: inside,
  /** sha256 */
  digest,
  /** Bytes. */
  size: z.number().int().nonnegative(),
});
export type ModelFile = z.infer<typeof ModelFile>;

export const ModelVersion = z
  .object({
    /** Of a GGUF file its sha256; of an export `digestOfFiles`. */
    digest,
    /** Bytes of all files. */
    size: z.number().int().positive(),
    kind: z.enum(["gguf", "onnx", "safetensors"]).default("gguf"),
    /** The GGUF file, the graph of an export, or the weights. */
    main: inside.optional(),
    /** Left out of a manifest whose only file is the GGUF file that the digest names. */
    files: z.array(ModelFile).min(1).optional(),
    license: z.string(),
    /** Where it came from, for people. */
    source: z.string(),
    arch: z.string(),
    addedAt: z.iso.datetime(),
  })
  .transform(({ main = "model.gguf", files, ...version }) => ({
    ...version,
    main,
    files: files ?? [{ path: main, digest: version.digest, size: version.size }],
  }));
export type ModelVersion = z.infer<typeof ModelVersion>;

export const Manifest = z.object({
  format: z.literal(1),
  name: z.string(),
  versions: z.array(ModelVersion).min(1),
});
export type Manifest = z.infer<typeof Manifest>;

const NAME = /^[a-z0-9][a-z0-9._-]{0,79}$/;
const SUFFIX = ".json";

/** The digest of an export: the files' names and contents, and which of them is the graph. */
export function digestOfFiles(files: readonly ModelFile[], main: string): string {
  const lines = files.map((file) => `${file.digest} ${file.path}\n`).sort();
  return createHash("sha256")
    .update(`main ${main}\n${lines.join("")}`)
    .digest("hex");
}

/** Whether a path from elsewhere stays in the directory that it is joined to. */
export function isInside(path: string): boolean {
  const odd = /[\\\0]/.test(path) || path.startsWith("/") || path.length > 400;
  return !odd && path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** Names are file names: lower case letters, digits, dot, dash, underscore. */
export function checkName(name: string): string {
  if (NAME.test(name)) return name;
  const rule = "a name has up to 80 of a-z 0-9 . _ - and starts with a letter or a digit";
  throw new ContixError("EINVAL", `"${name}" is no model name: ${rule}`, { argument: "name" });
}

/** The manifests in a directory. Writers hold a lock; readers need none. */
export class ManifestStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @throws ContixError EMODEL when the manifest is damaged. */
  async get(name: string): Promise<Manifest | undefined> {
    const path = this.#path(name);
    const text = await readFile(path, "utf8").catch((error) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (text === undefined) return undefined;
    try {
      return Manifest.parse(JSON.parse(text));
    } catch (cause) {
      throw new ContixError("EMODEL", `${path} is damaged; remove it and pull again`, { cause });
    }
  }

  async list(): Promise<Manifest[]> {
    const names = await readdir(this.#dir).catch((error) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    const found = await Promise.all(
      names
        .filter((file) => file.endsWith(SUFFIX))
        .sort()
        .map((file) => this.get(file.slice(0, -SUFFIX.length))),
    );
    return found.filter((manifest) => manifest !== undefined);
  }

  async put(manifest: Manifest): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const path = this.#path(manifest.name);
    const hidden = `${path}.${process.pid}.new`;
    try {
      const text = `${JSON.stringify(manifest, null, 2)}\n`;
      await writeFile(hidden, text, { flush: true });
      await rename(hidden, path);
    } catch (error) {
      await rm(hidden, { force: true });
      throw diskFull(error, this.#dir);
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.#path(name), { force: true });
  }

  #path(name: string): string {
    return join(this.#dir, `${checkName(name)}${SUFFIX}`);
  }
}
