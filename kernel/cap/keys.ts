/**
 * API keys: `ctx_<id>_<secret>`. The kernel keeps only a scrypt hash of the secret, so
 * to verify one costs tens of milliseconds of a core: it runs off the event loop, few at
 * a time, taking turns between key ids. A wrong secret costs nothing of that: beside the
 * hash stands a mark, 16 bits of the text's sha256, which it does not have. A text that was
 * verified is remembered by its sha256 for a while; what was revoked or has expired is
 * refused whatever is remembered.
 */
import { createHash, scrypt, timingSafeEqual } from "node:crypto";
import { ContixError } from "../../proto/errno.js";
import { type Clock, type Randomness, secret } from "../clock.js";
import type { ReadonlyState } from "../journal/journal.js";

export type Key = ReadonlyState["keys"] extends ReadonlyMap<string, infer K> ? K : never;

/** About 40 ms and 16 MiB. */
const SCRYPT = { N: 16_384, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const HASH_BYTES = 32;
/** Hashes that are computed at once; the thread pool has other work too. */
const AT_ONCE = 2;
/** Texts that may wait for one key id. */
const WAITING_PER_KEY = 8;
/**
 * Of the 256 bits that a guesser has to find, 16 can be had from whoever has read the kernel's
 * file of keys. Of wrong secrets one in 65,536 is hashed.
 */
const MARK_BYTES = 2;
const REMEMBERED = 4096;
const REMEMBERED_US = 600_000_000;
const FORM = /^ctx_([a-z0-9]{12})_([\w-]{43})$/;
const LETTERS = "abcdefghijklmnopqrstuvwxyz012345";

type Hasher = (secret: string, salt: Buffer) => Promise<Buffer>;

export interface KeyParts {
  readonly clock: Clock;
  readonly journal: { readonly state: ReadonlyState };
  /** Another hash, for tests. */
  readonly hasher?: Hasher;
}

export class Keys {
  readonly #parts: KeyParts;
  readonly #hasher: Hasher;
  /** sha256 of a text → its key's id, and until when. */
  readonly #good = new Map<string, { readonly id: string; readonly until: number }>();
  /** Who is being verified: by text, so that many who come with the same key cost one hash. */
  readonly #pending = new Map<string, Promise<boolean>>();
  readonly #waiting = new Map<string, (() => void)[]>();
  #running = 0;

  constructor(parts: KeyParts) {
    this.#parts = parts;
    this.#hasher = parts.hasher ?? hash;
  }

  static looksLikeOne(text: string): boolean {
    return text.startsWith("ctx_");
  }

  /** The key that a text is. EACCES: none, wrong, revoked or expired; EAGAIN: too many at once. */
  async verify(text: string): Promise<Key> {
    const [, id = "", secretPart = ""] = FORM.exec(text) ?? [];
    const key = this.#usable(id);
    const sha256 = createHash("sha256").update(text).digest();
    const digest = sha256.toString("base64");
    const known = this.#good.get(digest);
    if (known?.id === id && this.#parts.clock.now() < known.until) return key;
    if (key.mark !== undefined && key.mark !== markOf(sha256)) throw wrong();
    let verdict = this.#pending.get(digest);
    if (!verdict) {
      verdict = this.#compare(key, secretPart).finally(() => this.#pending.delete(digest));
      this.#pending.set(digest, verdict);
    }
    if (!(await verdict)) throw wrong();
    this.#remember(digest, id);
    // It may have been revoked meanwhile.
    return this.#usable(id);
  }

  /** The key was revoked: nothing of it is remembered. */
  forget(id: string): void {
    for (const [digest, known] of this.#good) if (known.id === id) this.#good.delete(digest);
  }

  #usable(id: string): Key {
    const { journal, clock } = this.#parts;
    const key = journal.state.keys.get(id);
    if (!key) throw wrong();
    if (key.revokedAt !== 0) throw new ContixError("EACCES", `the key ${id} is revoked`, AT_TOKEN);
    if (key.expiresAt !== 0 && clock.wall() >= key.expiresAt) {
      throw new ContixError("EACCES", `the key ${id} has expired`, AT_TOKEN);
    }
    return key;
  }

  async #compare({ id, salt, hash: kept }: Key, given: string): Promise<boolean> {
    await this.#turn(id);
    try {
      const computed = await this.#hasher(given, Buffer.from(salt, "base64"));
      const expected = Buffer.from(kept, "base64");
      return computed.length === expected.length && timingSafeEqual(computed, expected);
    } finally {
      this.#next();
    }
  }

  /** Resolves when it is this key's turn. EAGAIN. */
  #turn(id: string): Promise<void> {
    const queue = this.#waiting.get(id) ?? [];
    if (this.#running < AT_ONCE) {
      this.#running++;
      return Promise.resolve();
    }
    if (queue.length >= WAITING_PER_KEY) {
      throw new ContixError("EAGAIN", `too many are attaching with the key ${id} at once`, {
        retryAfterUs: 500_000,
      });
    }
    this.#waiting.set(id, queue);
    return new Promise((resolve) => queue.push(resolve));
  }

  /** A turn is over: the id that waited longest has it, and goes behind the others. */
  #next(): void {
    const [first] = this.#waiting;
    if (!first) {
      this.#running--;
      return;
    }
    const [id, queue] = first;
    const go = queue.shift();
    this.#waiting.delete(id);
    if (queue.length > 0) this.#waiting.set(id, queue);
    go?.();
  }

  #remember(digest: string, id: string): void {
    if (this.#good.size >= REMEMBERED) {
      const [oldest] = this.#good.keys();
      if (oldest !== undefined) this.#good.delete(oldest);
    }
    this.#good.set(digest, { id, until: this.#parts.clock.now() + REMEMBERED_US });
  }
}

/** A fresh key: its text, to be shown once, and what is kept of it. */
export async function makeKey(
  random: Randomness,
  hasher: Hasher = hash,
): Promise<{ text: string; id: string; hash: string; salt: string; mark: string }> {
  const id = [...random.bytes(12)].map((byte) => LETTERS[byte % LETTERS.length]).join("");
  const given = secret(random);
  const salt = random.bytes(16);
  const kept = await hasher(given, salt);
  const text = `ctx_${id}_${given}`;
  const mark = markOf(createHash("sha256").update(text).digest());
  return { text, id, hash: kept.toString("base64"), salt: salt.toString("base64"), mark };
}

function markOf(sha256: Buffer): string {
  return sha256.toString("hex", 0, MARK_BYTES);
}

const AT_TOKEN = { argument: "token" };

function wrong(): ContixError {
  return new ContixError("EACCES", "the token is wrong or was used before", AT_TOKEN);
}

function hash(given: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(given, salt, HASH_BYTES, SCRYPT, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}
