/**
 * A file of which only parts are there. Which ones lies in a small file beside it,
 * with the size and the tag (ETag) of what they are parts of. The note never runs
 * ahead of the bytes: a process that is killed loses what it had not noted, no more.
 */
import {
  type FileHandle,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { diskFull } from "./staging.js";

/** Bytes [from, to). */
export type Span = readonly [from: number, to: number];

/** Bytes between two notes. */
const NOTE_EVERY = 8 << 20;

const Note = z.object({
  format: z.literal(1),
  size: z.number().int().nonnegative(),
  tag: z.string().nullable(),
  have: z.array(z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()])),
});

export class PartialFile implements AsyncDisposable {
  readonly path: string;
  readonly size: number;
  readonly #file: FileHandle;
  #tag: string | null = null;
  #have: Span[] = [];
  #unnoted = 0;
  #noting: Promise<void> = Promise.resolve();

  private constructor(path: string, size: number, file: FileHandle) {
    this.path = path;
    this.size = size;
    this.#file = file;
  }

  /** What is there of a file of `size` bytes; nothing when what lies there is of another size. */
  static async open(path: string, size: number): Promise<PartialFile> {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const partial = new PartialFile(path, size, await open(path, "a+", 0o600).then(reopen(path)));
      await partial.#recall();
      return partial;
    } catch (error) {
      throw diskFull(error, dirname(path));
    }
  }

  /** Removes a partial file and its note. */
  static async remove(path: string): Promise<void> {
    await rm(noteOf(path), { force: true });
    await rm(newNoteOf(path), { force: true });
    await rm(path, { force: true });
  }

  /** What the server calls the content that the parts are of; undefined before the first. */
  get tag(): string | undefined {
    return this.#tag ?? undefined;
  }

  set tag(tag: string | undefined) {
    this.#tag = tag ?? null;
  }

  /** Bytes that are there. */
  get received(): number {
    return this.#have.reduce((sum, [from, to]) => sum + to - from, 0);
  }

  /** What is missing, in order. */
  get gaps(): Span[] {
    const gaps: Span[] = [];
    let at = 0;
    for (const [from, to] of this.#have) {
      if (from > at) gaps.push([at, from]);
      at = to;
    }
    if (at < this.size) gaps.push([at, this.size]);
    return gaps;
  }

  /** @throws ContixError ENOSPC. */
  async write(at: number, bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        done += (await this.#file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      }
      this.#have = joined(this.#have, [at, at + bytes.length]);
      this.#unnoted += bytes.length;
      if (this.#unnoted >= NOTE_EVERY) await this.note();
    } catch (error) {
      throw diskFull(error, dirname(this.path));
    }
  }

  /** Forgets all parts. */
  async clear(): Promise<void> {
    await this.#noting.catch(() => {});
    await rm(noteOf(this.path), { force: true });
    await this.#file.truncate(0);
    this.#have = [];
    this.#tag = null;
  }

  /** Writes down what is there. */
  note(): Promise<void> {
    this.#unnoted = 0;
    const text = JSON.stringify({ format: 1, size: this.size, tag: this.#tag, have: this.#have });
    const write = async () => {
      try {
        await writeFile(newNoteOf(this.path), text);
        await rename(newNoteOf(this.path), noteOf(this.path));
      } catch (error) {
        throw diskFull(error, dirname(this.path));
      }
    };
    this.#noting = this.#noting.catch(() => {}).then(write);
    return this.#noting;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      // On a full disk the parts of the last note are there all the same.
      await this.note().catch(() => {});
    } finally {
      await this.#file.close();
    }
    if (this.#have.length === 0 && this.size > 0) await PartialFile.remove(this.path);
  }

  async #recall(): Promise<void> {
    const text = await readFile(noteOf(this.path), "utf8").catch(() => "");
    const parsed = Note.safeParse(parse(text));
    const { size } = await stat(this.path);
    const fits = (have: readonly Span[]) => have.every(([from, to]) => from < to && to <= size);
    if (!parsed.success || parsed.data.size !== this.size || !fits(parsed.data.have)) {
      return this.clear();
    }
    this.#tag = parsed.data.tag;
    for (const span of parsed.data.have) this.#have = joined(this.#have, span);
  }
}

/** "a+" makes the file, but would write at its end only. */
function reopen(path: string) {
  return async (made: FileHandle): Promise<FileHandle> => {
    await made.close();
    return open(path, "r+");
  };
}

function noteOf(path: string): string {
  return `${path}.json`;
}

function newNoteOf(path: string): string {
  return `${noteOf(path)}.new`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `spans`, in order and apart, with one more. */
export function joined(spans: readonly Span[], [from, to]: Span): Span[] {
  if (to <= from) return [...spans];
  const apart = spans.filter(([a, b]) => b < from || a > to);
  const touching = spans.filter(([a, b]) => b >= from && a <= to);
  const whole: Span = [
    Math.min(from, ...touching.map(([a]) => a)),
    Math.max(to, ...touching.map(([, b]) => b)),
  ];
  return [...apart, whole].sort(([a], [b]) => a - b);
}
