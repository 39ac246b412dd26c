/** What a name means: a model that is here, one of the catalogue, an alias, a digest. */
import { ContixError } from "../../../proto/errno.js";
import { type CatalogEntry, findInCatalog } from "./catalog.js";
import type { Manifest, ManifestStore, ModelVersion } from "./manifest.js";
import { TINY } from "./tiny.js";

export interface Found {
  readonly manifest: Manifest;
  readonly version: ModelVersion;
  /** Whether the name alone was given: all versions are meant where all can be. */
  readonly whole: boolean;
}

const DIGEST = /^[0-9a-f]{8,64}$/;

export class Names {
  readonly #manifests: ManifestStore;
  readonly #catalog: readonly CatalogEntry[];

  constructor(manifests: ManifestStore, catalog: readonly CatalogEntry[]) {
    this.#manifests = manifests;
    this.#catalog = catalog;
  }

  /** The entry of the catalogue that a name or an alias means. */
  entry(name: string): CatalogEntry | undefined {
    return findInCatalog(this.#catalog, name);
  }

  /** Whether a name is taken by the catalogue or the tiny model. */
  isReserved(name: string): boolean {
    return name === TINY || this.entry(name) !== undefined;
  }

  /** @throws ContixError EMODEL that says what there is. */
  async find(wanted: string): Promise<Found> {
    const found = await this.search(wanted);
    if (found) return found;
    throw await this.#unknown(wanted);
  }

  /** The version of a name, an alias, `name@digest` or a digest; undefined when it is not here. */
  async search(wanted: string): Promise<Found | undefined> {
    const [name = "", cut = ""] = wanted.toLowerCase().split("@");
    const canonical = this.entry(name)?.name ?? name;
    for (const manifest of await this.#manifests.list()) {
      const named = manifest.name === canonical;
      const prefix = named ? cut : cut === "" && DIGEST.test(name) ? name : undefined;
      if (prefix === undefined || (prefix !== "" && !DIGEST.test(prefix))) continue;
      const version = manifest.versions.find((v) => v.digest.startsWith(prefix));
      if (version) return { manifest, version, whole: named && cut === "" };
    }
    return undefined;
  }

  async #unknown(name: string): Promise<ContixError> {
    if (name === TINY) return new ContixError("EMODEL", "the tiny model has no file: it is made");
    const entry = this.entry(name);
    if (entry) {
      const how = `run \`contix model pull ${name}\``;
      return new ContixError("EMODEL", `the model ${entry.name} is not here: ${how}`);
    }
    const here = (await this.#manifests.list()).map((manifest) => manifest.name);
    const known = [...new Set([...here, ...this.#catalog.map((e) => e.name), TINY])].join(", ");
    const how =
      "or import a file with `contix model import FILE.gguf`, or pull one with `contix model pull hf:OWNER/REPO`";
    return new ContixError("EMODEL", `no model is named "${name}": known are ${known}; ${how}`);
  }
}
