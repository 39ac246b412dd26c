/** Rights, and what there may be rights to: the bits and the words of the ABI. */

export const RIGHTS = { read: 1, write: 2, call: 4, signal: 8, grant: 16, admin: 32 } as const;
export type Right = keyof typeof RIGHTS;
export const ALL_RIGHTS = 63;

/** What a capability may name. A `principal` is the namespace of everything that is its own. */
export type ObjectType =
  | "process"
  | "context"
  | "mailbox"
  | "topic"
  | "pipe"
  | "lock"
  | "barrier"
  | "model"
  | "principal"
  | "schedule";
