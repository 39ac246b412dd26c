/** One file of a Hugging Face hub, into the blob store. */
import { join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import type { BlobStore, Expected, HeldBlob } from "./blobs.js";
import { download, type TransferSettings } from "./download.js";
import { PartialFile } from "./download-partial.js";
import type { PullContext } from "./pull.js";
import { needSpace } from "./space.js";

/** Where and how a hub is reached. */
export interface HubSettings extends TransferSettings {
  readonly url: string;
  readonly token: string | undefined;
}

/** The hub of HF_ENDPOINT, with HF_TOKEN; else the public one. */
export async function hubSettings(env: NodeJS.ProcessEnv = process.env): Promise<HubSettings> {
  // Loaded by those who pull: it is as much code as the rest of the library, and a daemon's start reads that.
  const { HUB_URL } = await import("@huggingface/hub");
  return {
    url: (env.HF_ENDPOINT || HUB_URL).replace(/\/+$/, ""),
    token: env.HF_TOKEN || undefined,
    connectMs: 10_000,
    stallMs: 20_000,
    tries: 5,
    retryMs: 1_000,
    connections: 4,
    rangeBytes: 16 << 20,
  };
}

/** A file at a fixed revision, and what is known of its content. */
export interface HubBlob {
  readonly repo: string;
  /** A commit. */
  readonly revision: string;
  readonly path: string;
  readonly size: number;
  readonly expected: Expected;
}

export interface FetchOptions {
  /** Names the partial file: the same key is the same content. */
  readonly key: string;
  readonly onBytes: (done: number) => void;
}

/**
 * Brings a file into the blob store, going on where an earlier pull stopped. The
 * caller has made sure that nobody else brings the same `key`.
 * @throws ContixError with the reason; ENOSPC.
 */
export async function fetchBlob(
  file: HubBlob,
  blobs: BlobStore,
  partialDir: string,
  context: PullContext,
  options: FetchOptions,
): Promise<HeldBlob> {
  const path = partialPath(partialDir, options.key);
  const resumed = await transfer(file, path, context, options);
  try {
    return await finish(file, blobs, path, context);
  } catch (error) {
    if (!(error instanceof ContixError) || error.code !== "EIO") throw error;
    await PartialFile.remove(path);
    if (!resumed) throw error;
  }
  // What lay there from before may be what was wrong.
  context.onNote("what an earlier download left is damaged; starting over");
  await transfer(file, path, context, options);
  return finish(file, blobs, path, context).catch(async (error: unknown) => {
    if (error instanceof ContixError && error.code === "EIO") await PartialFile.remove(path);
    throw error;
  });
}

async function finish(
  file: HubBlob,
  blobs: BlobStore,
  path: string,
  { signal }: PullContext,
): Promise<HeldBlob> {
  const blob = await blobs.adopt(path, file.path, file.expected, signal);
  await PartialFile.remove(path);
  return blob;
}

/** Downloads what is missing; whether some of it was there before. */
async function transfer(
  file: HubBlob,
  path: string,
  context: PullContext,
  options: FetchOptions,
): Promise<boolean> {
  const { hub, signal, onNote, freeBytes } = context;
  await using partial = await PartialFile.open(path, file.size);
  const before = partial.received;
  await needSpace(path, file.size - before, `the download of ${file.path}`, freeBytes);
  await download(urlOf(hub, file), partial, {
    ...hub,
    ...(hub.token && { headers: { authorization: `Bearer ${hub.token}` } }),
    signal,
    onNote,
    onBytes: options.onBytes,
  });
  return before > 0;
}

/** Where the parts of a file lie. */
export function partialPath(dir: string, key: string): string {
  return join(dir, `${key}.part`);
}

/** Where a hub serves a file of a model. */
function urlOf(hub: HubSettings, { repo, revision, path }: HubBlob): string {
  const parts = path.split("/").map(encodeURIComponent).join("/");
  return `${hub.url}/${repo}/resolve/${encodeURIComponent(revision)}/${parts}`;
}
