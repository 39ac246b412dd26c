/**
 * The attachments of a gateway: each key that clients present gets one of its own, so that
 * the kernel decides what the key may do and meters it, and the gateway has no right that
 * it could be talked into using for somebody else.
 *
 * Attachments are kept by the hash of their key, a bounded number of them; one that nobody
 * uses is closed after a while. A key that the kernel refused is remembered for some
 * seconds, so that a client which repeats it does not keep the kernel hashing.
 */
import { hash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { ConnectionError, type Os, SyscallError } from "../../syscalls/index.js";
import { ApiError } from "./errors.js";

export interface AttachmentsOptions {
  /** Attaches to the kernel with a key. Rejects as `connect()` of the SDK does. */
  readonly connect: (key: string) => Promise<Os>;
  /** Keys attached at once. */
  readonly limit: number;
  /** How long an unused one stays, milliseconds. */
  readonly idleMs: number;
}

interface Entry {
  readonly hash: string;
  readonly os: Promise<Os>;
  users: number;
  /** Not in the pool any more: closed when its last user leaves. */
  dropped: boolean;
  idle: NodeJS.Timeout | undefined;
}

/** A key's attachment, in use until it is disposed of. */
export interface Lease extends Disposable {
  readonly os: Os;
  /** Whoever comes next gets a new one: this one has lost its kernel. */
  drop(): void;
}

/** Attaches under way at once: a flood of new keys waits outside the kernel. */
const ATTACHING = 32;
const REFUSED = 1024;
const REFUSED_MS = 5_000;
const BUSY_MS = 1_000;

export class Attachments {
  readonly #options: AttachmentsOptions;
  /** Those used longest ago first. */
  readonly #entries = new Map<string, Entry>();
  readonly #refused = new LRUCache<string, SyscallError>({ max: REFUSED, ttl: REFUSED_MS });
  #attaching = 0;
  #closed = false;

  constructor(options: AttachmentsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * The attachment of `key`. Rejects with SyscallError EACCES when the kernel does not know
   * the key, with ConnectionError when there is no kernel, with ApiError 429 when too many
   * keys are in use.
   */
  async use(key: string): Promise<Lease> {
    const name = hash("sha256", key, "base64");
    const refused = this.#refused.get(name);
    if (refused !== undefined) throw refused;
    const entry = this.#entries.get(name) ?? this.#attach(name, key);
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    entry.users += 1;
    clearTimeout(entry.idle);
    try {
      return this.#lease(entry, await entry.os);
    } catch (error) {
      this.#drop(entry);
      this.#leave(entry);
      if (error instanceof SyscallError && error.code === "EACCES") this.#refused.set(name, error);
      throw error;
    }
  }

  /** Closes all; nothing can be used afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.all(entries.map((entry) => this.#close(entry)));
  }

  #attach(name: string, key: string): Entry {
    if (this.#closed) throw new ConnectionError("", "the gateway is closing");
    if (this.#attaching >= ATTACHING) throw busy("too many new keys at once");
    if (this.#entries.size >= this.#options.limit) this.#makeRoom();
    this.#attaching += 1;
    const os = this.#options.connect(key).finally(() => {
      this.#attaching -= 1;
    });
    const entry: Entry = { hash: name, os, users: 0, dropped: false, idle: undefined };
    os.then(
      // The kernel's TERM is for this attachment; other keys' and the gateway go on.
      (attached) => void attached.on("TERM", () => this.#drop(entry)),
      () => undefined,
    );
    return entry;
  }

  #lease(entry: Entry, os: Os): Lease {
    let left = false;
    return {
      os,
      drop: () => this.#drop(entry),
      [Symbol.dispose]: () => {
        if (!left) this.#leave(entry);
        left = true;
      },
    };
  }

  #leave(entry: Entry): void {
    entry.users -= 1;
    if (entry.users > 0) return;
    if (entry.dropped) void this.#close(entry);
    else entry.idle = setTimeout(() => this.#drop(entry), this.#options.idleMs).unref();
  }

  #drop(entry: Entry): void {
    if (this.#entries.get(entry.hash) === entry) this.#entries.delete(entry.hash);
    if (entry.dropped) return;
    entry.dropped = true;
    if (entry.users === 0) void this.#close(entry);
  }

  #makeRoom(): void {
    const unused = [...this.#entries.values()].find(({ users }) => users === 0);
    if (unused === undefined) throw busy("too many keys are in use");
    this.#drop(unused);
  }

  async #close(entry: Entry): Promise<void> {
    clearTimeout(entry.idle);
    // An attach that failed has nothing to close.
    await entry.os.then(
      (os) => os.close(),
      () => undefined,
    );
  }
}

function busy(message: string): ApiError {
  const code = "rate_limit_exceeded";
  return new ApiError(429, message, { type: "rate_limit_error", code, retryAfterMs: BUSY_MS });
}
