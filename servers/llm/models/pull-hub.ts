/** Pulls a catalogued file from a Hugging Face hub, going on where an earlier pull stopped. */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileDownloadInfo, HUB_URL } from "@huggingface/hub";
import { ContixError } from "../../../proto/errno.js";
import type { BlobStore } from "./blobs.js";
import type { CatalogEntry, HubFile } from "./catalog.js";
import { download, fetchWithin } from "./download.js";
import type { PullContext } from "./pull.js";

/** Where and how a hub is reached. */
export interface HubSettings {
  readonly url: string;
  readonly token: string | undefined;
  readonly connectMs: number;
  readonly stallMs: number;
  readonly tries: number;
  readonly retryMs: number;
}

/** The hub of HF_ENDPOINT, with HF_TOKEN; else the public one. */
export function hubSettings(env: NodeJS.ProcessEnv = process.env): HubSettings {
  return {
    url: (env.HF_ENDPOINT || HUB_URL).replace(/\/+$/, ""),
    token: env.HF_TOKEN || undefined,
    connectMs: 5_000,
    stallMs: 20_000,
    tries: 3,
    retryMs: 1_000,
  };
}

/**
 * Brings the entry's file into the blob store.
 * @throws ContixError with the reason; ENOSPC.
 */
export async function pullFromHub(
  entry: CatalogEntry,
  file: HubFile,
  blobs: BlobStore,
  partialDir: string,
  context: PullContext,
): Promise<void> {
  const url = await locate(entry, file, context);
  const partial = join(partialDir, `${entry.digest}.part`);
  const resumed = await isThere(partial);
  await transfer(url, partial, entry, context);
  try {
    await blobs.adopt(partial, entry.digest);
  } catch (error) {
    await rm(partial, { force: true });
    if (!resumed) throw error;
    // What lay there from before may be what was wrong.
    context.onNote("what an earlier download left is damaged; starting over");
    await transfer(url, partial, entry, context);
    await blobs.adopt(partial, entry.digest).catch(async (again) => {
      await rm(partial, { force: true });
      throw again;
    });
  }
}

/** Asks the hub for the file; it must have the size that we know. */
async function locate(entry: CatalogEntry, file: HubFile, context: PullContext): Promise<string> {
  const { hub, signal } = context;
  const info = await fileDownloadInfo({
    repo: file.repo,
    path: file.path,
    revision: file.revision,
    hubUrl: hub.url,
    ...(hub.token && { accessToken: hub.token }),
    fetch: (url, init) => fetchWithin(hub.connectMs, url, { ...init, ...(signal && { signal }) }),
  }).catch((error: unknown) => {
    signal?.throwIfAborted();
    if (error instanceof ContixError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ContixError("EIO", reason, { cause: error });
  });
  if (!info) throw new ContixError("ENOENT", `${file.repo} has no file ${file.path}`);
  if (info.size !== entry.size) {
    const sizes = `it has ${info.size} bytes, expected ${entry.size}`;
    throw new ContixError("EIO", `${file.repo} has another file ${file.path}: ${sizes}`);
  }
  return info.url;
}

async function transfer(url: string, partial: string, entry: CatalogEntry, context: PullContext) {
  const { hub, signal, onProgress } = context;
  await download(url, partial, entry.size, {
    ...(hub.token && { headers: { authorization: `Bearer ${hub.token}` } }),
    connectMs: hub.connectMs,
    stallMs: hub.stallMs,
    tries: hub.tries,
    retryMs: hub.retryMs,
    signal,
    onBytes: (done) => onProgress({ phase: "download", done, total: entry.size }),
  });
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
