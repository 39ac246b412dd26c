/** The fold's part for principals and their API keys. Of a key only a hash is kept. */
import type { State } from "./state.js";

export interface PrincipalState {
  readonly name: string;
  /** Wall time, milliseconds. */
  readonly createdAt: number;
  /** Its own limits, by their names; the daemon's hold otherwise. */
  quota?: Readonly<Record<string, number>>;
}

export interface KeyState {
  readonly id: string;
  readonly principal: string;
  /** Whoever made it said what it is for. */
  readonly name: string;
  /** scrypt of the secret, and its salt: base64. */
  readonly hash: string;
  readonly salt: string;
  /** What tells nearly all wrong secrets without a hash; keys that were made before it have none. */
  readonly mark?: string | undefined;
  /** Groups of calls, such as "llm"; "*": all but admin. */
  readonly scopes: readonly string[];
  /** Wall time, milliseconds. */
  readonly createdAt: number;
  /** Wall time, milliseconds; 0: never. */
  expiresAt: number;
  /** Wall time, milliseconds; 0: it is good. */
  revokedAt: number;
}

export type PrincipalRecord =
  | ({ type: "principal.added" } & PrincipalState)
  /** With its keys. */
  | { type: "principal.removed"; name: string }
  | { type: "principal.quota"; name: string; quota: Readonly<Record<string, number>> }
  | ({ type: "key.added" } & KeyState)
  | { type: "key.expires"; id: string; at: number }
  | { type: "key.revoked"; id: string; at: number };

export function applyPrincipal(state: State, record: PrincipalRecord): void {
  switch (record.type) {
    case "principal.added": {
      const { type: _, ...principal } = record;
      state.principals.set(record.name, principal);
      break;
    }
    case "principal.quota": {
      const principal = state.principals.get(record.name);
      if (principal) principal.quota = record.quota;
      break;
    }
    case "principal.removed":
      state.principals.delete(record.name);
      state.spent.delete(record.name);
      for (const key of [...state.keys.values()]) {
        if (key.principal === record.name) state.keys.delete(key.id);
      }
      break;
    case "key.added": {
      const { type: _, ...key } = record;
      if (state.principals.has(record.principal)) state.keys.set(record.id, key);
      break;
    }
    case "key.expires": {
      const key = state.keys.get(record.id);
      if (key) key.expiresAt = record.at;
      break;
    }
    case "key.revoked": {
      const key = state.keys.get(record.id);
      if (key && key.revokedAt === 0) key.revokedAt = record.at;
      break;
    }
  }
}
