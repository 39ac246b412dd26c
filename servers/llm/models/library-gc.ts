/** Clears a library of what nobody can use any more. What is in use, or being made, stays. */
import type { Stats } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { choicePlace } from "./choose.js";
import { PartialFile } from "./download-partial.js";
import { removeUnusedDirectory, removeUnusedFile, usersOf } from "./holds.js";
import { isCurrent } from "./library-compile.js";
import { configOf, type Shelf, sizeOf } from "./library-shelf.js";
import { holdersOf, ifUnlocked, isHeld } from "./lock.js";
import { isStaleStaging } from "./staging.js";
import { TINY } from "./tiny.js";

const DAY_MS = 24 * 3600 * 1000;
/** How names of locks between processes end. */
const LOCK = ".lock";

export interface GcOptions {
  /** Only tells what would go. */
  readonly dryRun?: boolean | undefined;
  /** A partial download that nobody touched for so long is given up. */
  readonly partialDays?: number | undefined;
  readonly now?: () => number;
}

export interface Garbage {
  readonly kind: "blob" | "export" | "compiled" | "partial" | "leftover";
  readonly path: string;
  readonly bytes: number;
  /** Why it is of no use. */
  readonly why: string;
}

export interface GcResult {
  /** What went, or would go. */
  readonly removed: readonly Garbage[];
  /** What would have gone, but is in use. */
  readonly kept: readonly (Garbage & { readonly users: readonly string[] })[];
}

/** Something that may go: how to look whether it is in use, and how to remove it. */
interface Candidate extends Garbage {
  readonly users: () => string[];
  /** Whether it went. */
  readonly remove: () => Promise<boolean>;
}

/** Removes unnamed files, outdated compiled models, stale partial downloads and leftovers. */
export async function collect(shelf: Shelf, options: GcOptions = {}): Promise<GcResult> {
  return shelf.exclusively(async () => {
    const removed: Garbage[] = [];
    const kept: (Garbage & { users: string[] })[] = [];
    for (const { users, remove, ...garbage } of await candidates(shelf, options)) {
      const inUse = users();
      const went = inUse.length === 0 && (options.dryRun === true || (await remove()));
      if (went) removed.push(garbage);
      else kept.push({ ...garbage, users: inUse.length > 0 ? inUse : ["another process"] });
    }
    return { removed, kept };
  });
}

async function candidates(shelf: Shelf, options: GcOptions): Promise<Candidate[]> {
  const { paths } = shelf;
  return [
    ...(await compiled(shelf)),
    ...(await exports(shelf)),
    ...(await blobs(shelf)),
    ...(await partials(shelf, options)),
    ...(await leftovers([paths.compiled, paths.exports, paths.blobs, paths.partial])),
    ...(await oldNotes(paths.manifests)),
    ...(await oldLocks(paths.locks)),
    ...(await choices(shelf)),
  ];
}

async function compiled(shelf: Shelf): Promise<Candidate[]> {
  const digests = new Set((await shelf.versions()).map(({ digest }) => digest));
  const found: Candidate[] = [];
  for (const dir of await shelf.compiledDirectories()) {
    const config = await configOf(dir);
    let why: string | undefined;
    if (!config) why = "not whole, or of another version of Contix";
    else if (config.name !== TINY && !digests.has(config.weightsDigest)) why = "its model is gone";
    else if (!isCurrent(config)) why = "made by another version, or for another processor";
    if (why === undefined) continue;
    // An import holds its file until the model has its name.
    const file = join(shelf.paths.blobs, `${config?.weightsDigest}.gguf`);
    const candidate = await directory("compiled", dir, why);
    found.push({ ...candidate, users: () => [...candidate.users(), ...fileUsers(file)] });
  }
  return found;
}

async function exports(shelf: Shelf): Promise<Candidate[]> {
  const digests = new Set((await shelf.versions()).map(({ digest }) => digest));
  const names = await namesIn(shelf.paths.exports);
  const gone = names.filter((name) => !name.startsWith(".") && !digests.has(name));
  const dirs = gone.map((name) => join(shelf.paths.exports, name));
  return Promise.all(dirs.map((dir) => directory("export", dir, "its model is gone")));
}

async function blobs(shelf: Shelf): Promise<Candidate[]> {
  const files = (await shelf.versions()).flatMap((version) => version.files);
  const needed = new Set(files.map((file) => basename(shelf.blobs.path(file))));
  const names = await namesIn(shelf.paths.blobs);
  const gone = names.filter((name) => !name.startsWith(".") && !needed.has(name));
  return Promise.all(
    gone.map(async (name): Promise<Candidate> => {
      const path = join(shelf.paths.blobs, name);
      return {
        kind: "blob",
        path,
        bytes: await sizeOf(path),
        why: "no model needs it",
        users: () => fileUsers(path),
        remove: () => removeUnusedFile(path),
      };
    }),
  );
}

async function partials(shelf: Shelf, options: GcOptions): Promise<Candidate[]> {
  const { partialDays = 7, now = Date.now } = options;
  const found: Candidate[] = [];
  // A note outlives its file when a download was killed as it became whole.
  const names = await namesIn(shelf.paths.partial);
  const keys = new Set(names.flatMap((name) => /^([0-9a-f]{64})\.part/.exec(name)?.[1] ?? []));
  for (const key of keys) {
    const path = join(shelf.paths.partial, `${key}.part`);
    const at = (await stat(path).catch(() => undefined)) ?? (await noteAt(path));
    if (!at || now() - at.mtimeMs < partialDays * DAY_MS) continue;
    const bytes = at.blocks * 512;
    const why = `a download that nobody continued for ${partialDays} days`;
    const remove = async () => {
      const went = await ifUnlocked(shelf.paths.locks, `pull-${key}`, async () => {
        await PartialFile.remove(path);
        return true;
      });
      return went === true;
    };
    const lock = join(shelf.paths.locks, `pull-${key}.lock`);
    found.push({ kind: "partial", path, bytes, why, users: () => fileUsers(lock), remove });
  }
  return found;
}

function noteAt(path: string): Promise<Stats | undefined> {
  return stat(`${path}.json`).catch(() => undefined);
}

/** What processes left behind that were killed. */
async function leftovers(parents: readonly string[]): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const parent of parents) {
    for (const name of await namesIn(parent)) {
      if (!(await isStaleStaging(parent, name))) continue;
      found.push(await leftover(join(parent, name), "its process was killed"));
    }
  }
  return found;
}

/** Manifests that were being written. Nobody writes one now: the caller excludes it. */
async function oldNotes(dir: string): Promise<Candidate[]> {
  const names = (await namesIn(dir)).filter((name) => name.endsWith(".new"));
  return Promise.all(names.map((name) => leftover(join(dir, name), "its process was killed")));
}

/** Locks that nobody has: who ends in order removes his. */
async function oldLocks(dir: string): Promise<Candidate[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isFile() && entry.name.endsWith(LOCK));
  const paths = names.map(({ name }) => join(dir, name)).filter((path) => !isHeld(path));
  return Promise.all(
    paths.map(async (path): Promise<Candidate> => {
      const free = async () => true;
      const remove = async () => (await ifUnlocked(dir, basename(path, LOCK), free)) === true;
      return { ...(await leftover(path, "its process was killed")), remove };
    }),
  );
}

/** What was measured of models that are gone, or on other machines. */
async function choices(shelf: Shelf): Promise<Candidate[]> {
  const place = (digest: string) => choicePlace(shelf.paths.compiled, digest);
  const needed = new Set((await shelf.versions()).map(({ digest }) => place(digest)));
  const dir = dirname(place(""));
  const gone = (await namesIn(dir))
    .map((name) => join(dir, name))
    .filter((path) => !needed.has(path));
  return Promise.all(gone.map((path) => leftover(path, "measured of a model that is gone")));
}

async function leftover(path: string, why: string): Promise<Candidate> {
  const remove = async () => {
    await rm(path, { recursive: true, force: true });
    return true;
  };
  return { kind: "leftover", path, bytes: await sizeOf(path), why, users: () => [], remove };
}

async function directory(
  kind: "compiled" | "export",
  dir: string,
  why: string,
): Promise<Candidate> {
  const bytes = await sizeOf(dir);
  return {
    kind,
    path: dir,
    bytes,
    why,
    users: () => usersOf(dir),
    remove: () => removeUnusedDirectory(dir),
  };
}

function fileUsers(path: string): string[] {
  if (!isHeld(path)) return [];
  const named = holdersOf(path);
  return named.length > 0 ? named : ["another process"];
}

async function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch(() => []);
}
