/**
 * The files of models, each named by its sha256. A blob appears whole and verified,
 * or not at all; it is held by who put it there until its manifest is written.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ContixError } from "../../../proto/errno.js";
import { removeUnusedFile } from "./holds.js";
import { hold, type Release } from "./lock.js";
import { diskFull, removeStale, stagingName } from "./staging.js";

/** What names a blob: the file's sha256, and its path in its model. */
export interface BlobName {
  readonly digest: string;
  readonly path: string;
}

/** What a file must be: its sha256, or the id that git gives it. */
export interface Expected {
  readonly digest?: string | undefined;
  readonly gitId?: string | undefined;
}

export interface AddOptions {
  /** Bytes so far. */
  readonly onBytes?: (done: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Refuse any other content. */
  readonly expected?: Expected;
  /** Bytes; a source that gives more is cut off. */
  readonly limit?: number;
}

/** A blob that is not removed before it is released. */
export interface HeldBlob {
  readonly digest: string;
  readonly size: number;
  readonly release: Release;
}

/**
 * What `work` gives for one after the other; when it gives nothing, or fails, what was
 * held until then is released, and the answer is the same.
 */
export async function eachHeld<T, H extends HeldBlob | undefined>(
  items: readonly T[],
  work: (item: T) => Promise<H>,
): Promise<HeldBlob[] | Extract<H, undefined>> {
  const held: HeldBlob[] = [];
  let whole = false;
  try {
    for (const item of items) {
      const blob = await work(item);
      if (blob === undefined) return undefined as Extract<H, undefined>;
      held.push(blob);
    }
    whole = true;
    return held;
  } finally {
    if (!whole) for (const { release } of held) release();
  }
}

export class BlobStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Tools want the extension of a GGUF file. */
  path({ digest, path }: BlobName): string {
    return join(this.#dir, extname(path) === ".gguf" ? `${digest}.gguf` : digest);
  }

  /** Whether the blob is there, with that many bytes. */
  async has(name: BlobName, size: number): Promise<boolean> {
    return stat(this.path(name)).then(
      (found) => found.size === size,
      () => false,
    );
  }

  /** The blob, held, when it is there with that many bytes. */
  async hold(name: BlobName, size: number): Promise<HeldBlob | undefined> {
    const release = await hold(this.path(name));
    if (release && (await this.has(name, size))) return { digest: name.digest, size, release };
    release?.();
    return undefined;
  }

  /**
   * Stores what `source` gives as the file `path` of a model.
   * @throws ContixError ENOSPC, or EIO when the content is not the `expected`.
   */
  async add(
    source: AsyncIterable<Uint8Array>,
    path: string,
    options: AddOptions = {},
  ): Promise<HeldBlob> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await removeStale(this.#dir);
    const staging = join(this.#dir, stagingName());
    try {
      const digest = await writeHashed(source, staging, options);
      check({ sha256: digest }, options.expected);
      return await this.#publish(staging, { digest, path });
    } catch (error) {
      throw diskFull(error, this.#dir);
    } finally {
      await rm(staging, { force: true });
    }
  }

  /**
   * Takes over a whole file on the same disk, which is then gone from its place.
   * @throws ContixError EIO when it is not the `expected`; the file stays.
   */
  async adopt(
    file: string,
    path: string,
    expected: Expected,
    signal?: AbortSignal,
  ): Promise<HeldBlob> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const found = await hashes(file, expected.gitId !== undefined, signal);
    check(found, expected);
    return this.#publish(file, { digest: found.sha256, path });
  }

  /** Removes the blob unless somebody holds it; whether it did. */
  async remove(name: BlobName): Promise<boolean> {
    return removeUnusedFile(this.path(name));
  }

  async #publish(file: string, name: BlobName): Promise<HeldBlob> {
    const handle = await open(file, "r");
    const { size } = await handle.stat();
    await handle.sync().finally(() => handle.close());
    const there = await this.hold(name, size);
    if (there) {
      await rm(file, { force: true });
      return there;
    }
    // Held before it can be seen: from then on nobody may take it for a leftover.
    const release = await hold(file);
    if (!release) throw new ContixError("EIO", `${file} was removed while it was worked on`);
    await rename(file, this.path(name)).catch((error) => {
      release();
      throw error;
    });
    return { digest: name.digest, size, release };
  }
}

interface Hashes {
  readonly sha256: string;
  readonly git?: string;
}

/** git names a file by the sha1 of a head with its length, and its content. */
async function hashes(path: string, withGit: boolean, signal?: AbortSignal): Promise<Hashes> {
  const { size } = await stat(path);
  const sha256 = createHash("sha256");
  const git = withGit ? createHash("sha1").update(`blob ${size}\0`) : undefined;
  const options = { highWaterMark: 1 << 20, ...(signal && { signal }) };
  for await (const chunk of createReadStream(path, options)) {
    sha256.update(chunk);
    git?.update(chunk);
  }
  return { sha256: sha256.digest("hex"), ...(git && { git: git.digest("hex") }) };
}

function check(found: Hashes, { digest, gitId }: Expected = {}): void {
  if (digest !== undefined && found.sha256 !== digest) {
    const sums = `its sha256 is ${found.sha256}, expected ${digest}`;
    throw new ContixError("EIO", `wrong content: ${sums}`);
  }
  if (gitId !== undefined && found.git !== gitId) {
    throw new ContixError("EIO", `wrong content: its git id is ${found.git}, expected ${gitId}`);
  }
}

async function writeHashed(
  source: AsyncIterable<Uint8Array>,
  path: string,
  { onBytes, signal, limit = Number.POSITIVE_INFINITY }: AddOptions,
): Promise<string> {
  const hash = createHash("sha256");
  let done = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      done += chunk.length;
      if (done > limit) {
        next(new ContixError("EIO", `wrong content: it has more than ${limit} bytes`));
        return;
      }
      hash.update(chunk);
      onBytes?.(done);
      next(null, chunk);
    },
  });
  const out = createWriteStream(path, { flags: "wx", mode: 0o600 });
  await pipeline(source, meter, out, signal ? { signal } : {});
  return hash.digest("hex");
}
