/** What a hub says of a model's repository: commit, licence, files. None of it is believed unchecked. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";
import type { Expected } from "./blobs.js";
import { fetchWithin, isHopeless, refusalOf } from "./download-http.js";
import { isInside } from "./manifest.js";
import type { PullContext } from "./pull.js";

/** Answers are cut off here, bytes. */
const MOST_BYTES = 16 << 20;
const MOST_FILES = 20_000;
const LONGEST_WAIT_MS = 120_000;

export interface HubRepo {
  readonly commit: string;
  readonly license: string | undefined;
  readonly files: readonly HubRepoFile[];
}

export interface HubRepoFile {
  readonly path: string;
  readonly size: number;
  readonly expected: Expected;
}

const Info = z.object({
  sha: z.string().regex(/^[0-9a-f]{40,64}$/),
  cardData: z.looseObject({ license: z.unknown() }).optional().catch(undefined),
  tags: z.array(z.string()).optional().catch(undefined),
});

const Entry = z.object({
  type: z.string(),
  path: z.string(),
  size: z.number().int().nonnegative(),
  // A repository of git's newer, longer ids says nothing that we check.
  oid: z
    .string()
    .regex(/^[0-9a-f]{40}$/)
    .optional()
    .catch(undefined),
  lfs: z
    .object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.number().int().nonnegative() })
    .optional(),
});

/**
 * The repository at a revision (by default the main branch's newest commit).
 * @throws ContixError ENOENT, EACCES, EAGAIN, ETIMEDOUT, EIO with the reason.
 */
export async function readRepo(
  repo: string,
  revision: string | undefined,
  context: PullContext,
): Promise<HubRepo> {
  const { hub } = context;
  const { listFiles, modelInfo } = await import("@huggingface/hub");
  const request = { hubUrl: hub.url, fetch: metadataFetch(context) };
  const where = revision === undefined ? repo : `${repo} at ${revision}`;
  try {
    const info = Info.parse(
      await modelInfo({
        name: repo,
        additionalFields: ["sha", "cardData", "tags"],
        ...(revision !== undefined && { revision }),
        ...request,
      }),
    );
    const files: HubRepoFile[] = [];
    let entries = 0;
    for await (const found of listFiles({
      repo,
      revision: info.sha,
      recursive: true,
      ...request,
    })) {
      if (++entries > MOST_FILES) break;
      const entry = Entry.parse(found);
      if (entry.type === "file" && isInside(entry.path)) files.push(fileOf(entry));
    }
    return { commit: info.sha, license: licenseOf(info), files };
  } catch (error) {
    context.signal?.throwIfAborted();
    throw typed(error, hub.url, where);
  }
}

function fileOf({ path, size, oid, lfs }: z.infer<typeof Entry>): HubRepoFile {
  // A large file's entry holds its sha256; a small one's the id that git gives it.
  if (lfs) return { path, size: lfs.size, expected: { digest: lfs.oid } };
  return { path, size, expected: { gitId: oid } };
}

function licenseOf({ cardData, tags }: z.infer<typeof Info>): string | undefined {
  const named = [cardData?.license].flat().filter((each) => typeof each === "string");
  const tagged = tags?.find((tag) => tag.startsWith("license:"))?.slice("license:".length);
  return named.length > 0 ? named.join(", ") : tagged;
}

function typed(error: unknown, url: string, where: string): ContixError {
  if (error instanceof ContixError) {
    const said = error.code === "ENOENT" ? `there is no ${where}: ${error.message}` : error.message;
    const { retryAfterUs } = error;
    return new ContixError(error.code, `${url}: ${said}`, { cause: error, retryAfterUs });
  }
  const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
  const what = `${url} answers nonsense about ${where}: ${reason.slice(0, 300)}`;
  return new ContixError("EIO", what, { cause: error });
}

/** fetch with patience, for small answers, which are read whole. */
function metadataFetch(context: PullContext): typeof fetch {
  const { hub, signal } = context;
  return async (url, init) => {
    // Not left to the client, which knows only tokens of the public hub.
    const headers = new Headers(init?.headers);
    if (hub.token) headers.set("authorization", `Bearer ${hub.token}`);
    for (let failures = 1; ; failures++) {
      try {
        return await attempt(url, { ...init, headers, ...(signal && { signal }) }, context);
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof ContixError) || !error.retryable) throw error;
        if (isHopeless(error)) throw error;
        const asked = error.retryAfterUs / 1000;
        if (failures >= hub.tries || asked > LONGEST_WAIT_MS) throw error;
        const wait = Math.max(asked, hub.retryMs * 2 ** (failures - 1));
        await sleep(wait, undefined, signal ? { signal } : {});
      }
    }
  };
}

async function attempt(
  url: string | URL | Request,
  init: RequestInit,
  { hub }: PullContext,
): Promise<Response> {
  const late = AbortSignal.timeout(hub.stallMs + hub.connectMs);
  const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
  const response = await fetchWithin(hub.connectMs, url, { ...init, signal });
  if (!response.ok) throw await refusalOf(response);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    init.signal?.throwIfAborted();
    const seconds = (hub.stallMs + hub.connectMs) / 1000;
    if (late.aborted) throw new ContixError("ETIMEDOUT", `no whole answer within ${seconds} s`);
    throw new ContixError("EIO", "the answer broke off", { cause });
  }
  if (bytes > MOST_BYTES) {
    throw new ContixError("ENOENT", `the answer has more than ${MOST_BYTES} bytes`);
  }
  const { status, headers } = response;
  return new Response(Buffer.concat(chunks), { status, headers: plain(headers) });
}

/** The body is unpacked already. */
function plain(headers: Headers): Headers {
  const kept = new Headers(headers);
  for (const name of ["content-encoding", "content-length", "transfer-encoding"]) kept.delete(name);
  return kept;
}
