/**
 * Principals and keys outlive the daemon in `principals.json` of its 0700 home: whoever
 * was given a key has it tomorrow too. Whole or not at all: a new file is written, synced
 * and renamed over the old one before a change is acknowledged. It holds hashes, no secret.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { ContixError } from "../../proto/errno.js";
import type { ReadonlyState } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";

export interface KeyFile {
  /** What was saved, as records for the journal. */
  load(): JournalRecord[];
  /** EIO when it can not be written: then the former file stands. */
  save(state: Pick<ReadonlyState, "principals" | "keys">): void;
}

const time = z.int().min(0);
const Saved = z.object({
  version: z.literal(1),
  principals: z.array(z.looseObject({ name: z.string().min(1), createdAt: time })),
  keys: z.array(
    z.strictObject({
      id: z.string(),
      principal: z.string(),
      name: z.string(),
      hash: z.string(),
      salt: z.string(),
      mark: z.string().optional(),
      scopes: z.array(z.string()),
      createdAt: time,
      expiresAt: time,
      revokedAt: time,
    }),
  ),
});

/** Keeps nothing: for kernels in tests. */
export const NO_KEY_FILE: KeyFile = { load: () => [], save() {} };

export function keyFile(path: string): KeyFile {
  return {
    load() {
      if (!existsSync(path)) return [];
      const { principals, keys } = read(path);
      return [
        ...principals.map((principal) => ({ type: "principal.added" as const, ...principal })),
        ...keys.map((key) => ({ type: "key.added" as const, ...key })),
      ];
    },
    save({ principals, keys }) {
      const saved = { version: 1, principals: [...principals.values()], keys: [...keys.values()] };
      try {
        replace(path, `${JSON.stringify(saved, null, 2)}\n`);
      } catch (error) {
        throw new ContixError("EIO", `${path}: ${(error as Error).message}`);
      }
    },
  };
}

/** A file that cannot be understood ends the boot: to go on would be to forget who was revoked. */
function read(path: string): z.infer<typeof Saved> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new ContixError("EIO", `${path}: ${(error as Error).message}`);
  }
  const parsed = Saved.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ContixError("EIO", `${path}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
}

function replace(path: string, text: string): void {
  const fresh = `${path}.new`;
  const file = openSync(fresh, "w", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(fresh, path);
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
