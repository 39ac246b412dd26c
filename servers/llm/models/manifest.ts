/**
 * Manifests: one JSON file for each model name, with its versions, newest first.
 * A version is a GGUF file, named by its sha256.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";

export const ModelVersion = z.object({
  /** sha256 of the GGUF file. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  /** Bytes of the GGUF file. */
  size: z.number().int().positive(),
  license: z.string(),
  /** Where it came from, for people. */
  source: z.string(),
  arch: z.string(),
  addedAt: z.iso.datetime(),
});
export type ModelVersion = z.infer<typeof ModelVersion>;

export const Manifest = z.object({
  format: z.literal(1),
  name: z.string(),
  versions: z.array(ModelVersion).min(1),
});
export type Manifest = z.infer<typeof Manifest>;

const NAME = /^[a-z0-9][a-z0-9._-]{0,79}$/;
const SUFFIX = ".json";

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
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.#path(name), { force: true });
  }

  #path(name: string): string {
    return join(this.#dir, `${checkName(name)}${SUFFIX}`);
  }
}
