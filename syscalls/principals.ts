/** `os.principals`: who there is, and their API keys. An administrator's. */
import type { KeyInfo as WireKey } from "../proto/gen/contix/v1/cap.js";
import { checkText, checkTexts, checkUint64 } from "./check.js";
import { type CallOptions, request } from "./invoke.js";
import type { Session } from "./wire/session.js";

export interface PrincipalInfo {
  readonly name: string;
  readonly createdAt: Date;
  /** Keys that are good. */
  readonly keys: number;
  readonly processes: number;
  readonly contexts: number;
  /** Of its contexts. */
  readonly tokens: number;
  /** Its own quotas; the daemon's limits hold otherwise. */
  readonly quota: Quota;
}

/** A principal's own limits, by name; `os.sys.limits()` shows those in force. */
export type Quota = Readonly<Record<string, number>>;

export interface KeyInfo {
  readonly id: string;
  readonly principal: string;
  /** What it is for. */
  readonly name: string;
  /** Groups of calls, such as "llm"; "*": all but admin. */
  readonly scopes: readonly string[];
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** That live by it. */
  readonly processes: number;
}

/** A key that was just made. Its text is shown this once. */
export interface NewKey {
  readonly key: string;
  readonly id: string;
}

export interface KeyOptions extends CallOptions {
  /** What it is for. */
  readonly name?: string | undefined;
  /** Groups of calls: "llm", "ctx", ...; "admin" is one. All but admin by default. */
  readonly scopes?: readonly string[] | undefined;
  /** Milliseconds until it expires; never by default. */
  readonly ttlMs?: number | undefined;
}

export class Principals {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Adds a principal. EEXIST.
   *
   * @example
   * await os.principals.add("alice", { quota: { requestsPerSecond: 50, tokens: 1_000_000 } });
   */
  async add(
    name: string,
    { quota = {}, ...options }: CallOptions & { readonly quota?: Quota | undefined } = {},
  ): Promise<void> {
    const args = { name: checkText("name", name), quota: toEntries(quota) };
    await request(this.#session, { name: "principalAdd", args }, options);
  }

  /** Sets a principal's own quotas, in place of those before; what is left out is the daemon's. */
  async setQuota(name: string, quota: Quota, options?: CallOptions): Promise<void> {
    const args = { name: checkText("name", name), quota: toEntries(quota) };
    await request(this.#session, { name: "principalQuota", args }, options);
  }

  async list(options?: CallOptions): Promise<PrincipalInfo[]> {
    const call = { name: "principalList" as const, args: {} };
    const { principals } = await request(this.#session, call, options);
    return principals.map(({ createdMs, tokens, quota, ...info }) => ({
      ...info,
      quota: Object.fromEntries(quota.map(({ quota, limit }) => [quota, Number(limit)])),
      createdAt: new Date(Number(createdMs)),
      tokens: Number(tokens),
    }));
  }

  /** Ends a principal's processes, closes its contexts, forgets their pages and its keys. */
  async remove(
    name: string,
    options?: CallOptions,
  ): Promise<{ processes: number; contexts: number; keys: number }> {
    const args = { name: checkText("name", name) };
    return request(this.#session, { name: "principalRemove", args }, options);
  }

  /**
   * Makes a key.
   *
   * @example
   * const { key } = await os.principals.addKey("alice", { scopes: ["llm", "ctx"] });
   */
  async addKey(principal: string, options: KeyOptions = {}): Promise<NewKey> {
    const { name = "", scopes = [], ttlMs = 0 } = options;
    const args = {
      principal: checkText("principal", principal),
      name: checkText("name", name),
      scopes: checkTexts("scopes", scopes),
      ttlMs: checkUint64("ttlMs", ttlMs),
    };
    return request(this.#session, { name: "keyAdd", args }, options);
  }

  /** The keys, of one principal or of all. */
  async keys(principal = "", options?: CallOptions): Promise<KeyInfo[]> {
    const args = { principal: checkText("principal", principal) };
    const { keys } = await request(this.#session, { name: "keyList", args }, options);
    return keys.map(toKey);
  }

  /** A new key like an old one; the old one is good for `graceMs` more, or no longer. */
  async rotateKey(
    id: string,
    options: CallOptions & Pick<KeyOptions, "ttlMs"> & { readonly graceMs?: number } = {},
  ): Promise<NewKey> {
    const { graceMs = 0, ttlMs = 0 } = options;
    const args = {
      id: checkText("id", id),
      graceMs: checkUint64("graceMs", graceMs),
      ttlMs: checkUint64("ttlMs", ttlMs),
    };
    return request(this.#session, { name: "keyRotate", args }, options);
  }

  /** Revokes a key at once. @returns how many processes lived by it, and were ended */
  async revokeKey(id: string, options?: CallOptions): Promise<number> {
    const args = { id: checkText("id", id) };
    return (await request(this.#session, { name: "keyRevoke", args }, options)).processes;
  }
}

function toKey({ createdMs, expiresMs, revokedMs, ...key }: WireKey): KeyInfo {
  const at = (ms: bigint): Date | null => (ms === 0n ? null : new Date(Number(ms)));
  return {
    ...key,
    createdAt: new Date(Number(createdMs)),
    expiresAt: at(expiresMs),
    revokedAt: at(revokedMs),
  };
}

function toEntries(quota: Quota): { quota: string; limit: bigint }[] {
  return Object.entries(quota).map(([name, limit]) => ({
    quota: name,
    limit: checkUint64(`quota.${name}`, limit),
  }));
}
