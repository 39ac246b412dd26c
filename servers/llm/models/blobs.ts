/** GGUF files, each named by its sha256. A blob appears whole and verified, or not at all. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ContixError } from "../../../proto/errno.js";
import { diskFull, removeStale, stagingName } from "./staging.js";

export interface AddOptions {
  /** Bytes so far. */
  readonly onBytes?: (done: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Refuse any other content. */
  readonly expected?: string;
}

export class BlobStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  path(digest: string): string {
    return join(this.#dir, `${digest}.gguf`);
  }

  /** Whether the blob is there, with that many bytes. */
  async has(digest: string, size: number): Promise<boolean> {
    return stat(this.path(digest)).then(
      (found) => found.size === size,
      () => false,
    );
  }

  /**
   * Stores what `source` gives; returns its sha256 and whether it is new.
   * @throws ContixError ENOSPC, or EIO when the content is not the `expected`.
   */
  async add(source: AsyncIterable<Uint8Array>, options: AddOptions = {}) {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await removeStale(this.#dir);
    const staging = join(this.#dir, stagingName());
    try {
      const digest = await writeHashed(source, staging, options);
      checkDigest(digest, options.expected);
      return { digest, isNew: await this.#publish(staging, digest) };
    } catch (error) {
      throw diskFull(error, this.#dir);
    } finally {
      await rm(staging, { force: true });
    }
  }

  /**
   * Takes over a whole file on the same disk, which is then gone from its place.
   * @throws ContixError EIO when its sha256 is not `digest`; the file stays.
   */
  async adopt(file: string, digest: string): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    checkDigest(await hashFile(file), digest);
    await this.#publish(file, digest);
  }

  async remove(digest: string): Promise<void> {
    await rm(this.path(digest), { force: true });
  }

  async #publish(file: string, digest: string): Promise<boolean> {
    const handle = await open(file, "r");
    const { size } = await handle.stat();
    await handle.sync().finally(() => handle.close());
    if (await this.has(digest, size)) {
      await rm(file, { force: true });
      return false;
    }
    await rename(file, this.path(digest));
    return true;
  }
}

/** The sha256 of a file, hex. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

function checkDigest(found: string, expected: string | undefined): void {
  if (expected === undefined || found === expected) return;
  throw new ContixError("EIO", `wrong content: its sha256 is ${found}, expected ${expected}`);
}

async function writeHashed(
  source: AsyncIterable<Uint8Array>,
  path: string,
  { onBytes, signal }: AddOptions,
): Promise<string> {
  const hash = createHash("sha256");
  let done = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      hash.update(chunk);
      done += chunk.length;
      onBytes?.(done);
      next(null, chunk);
    },
  });
  const out = createWriteStream(path, { flags: "wx", mode: 0o600 });
  await pipeline(source, meter, out, signal ? { signal } : {});
  return hash.digest("hex");
}
