/** Where the audit log is: its files, its key, and the copy of its last head. */

import type { KeyObject } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import type { Randomness } from "../../clock.js";
import { publicHex, signingKey } from "./chain.js";

const FILE = /^audit-(\d{6,})\.jsonl$/;
const SEED_BYTES = 32;

/** The directory of a home's log. */
export function auditDirectory(home: string): string {
  return join(home, "audit");
}

export function auditFile(directory: string, number: number): string {
  return join(directory, `audit-${String(number).padStart(6, "0")}.jsonl`);
}

/** The copy of the last head: what the log must still have at the next start. */
export function lastHeadFile(directory: string): string {
  return join(directory, "head.json");
}

/** The public key of the heads, as hex. */
export function publicKeyFile(directory: string): string {
  return join(directory, "key.pub");
}

/** The numbers of the files that are there, rising. */
export function auditFiles(directory: string): number[] {
  if (!existsSync(directory)) return [];
  const numbers = readdirSync(directory).map((name) => Number(FILE.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number > 0).sort((a, b) => a - b);
}

export interface AuditKey {
  readonly key: KeyObject;
  readonly publicHex: string;
  /** For digests that nobody can guess arguments from. */
  readonly secret: string;
}

/** The key of the log, made at the first start. EIO when it is there and is none. */
export function openKey(directory: string, random: Randomness): AuditKey {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "key");
  if (!existsSync(path)) writeWhole(path, `${random.bytes(SEED_BYTES).toString("hex")}\n`);
  const seed = readFileSync(path, "utf8").trim();
  if (!/^[0-9a-f]{64}$/.test(seed)) {
    const what = `${path} is not a key; put back the one that was there, or remove it for a new one`;
    throw new ContixError("EIO", what);
  }
  const key = signingKey(Buffer.from(seed, "hex"));
  const hex = publicHex(key);
  writeWhole(publicKeyFile(directory), `${hex}\n`);
  return { key, publicHex: hex, secret: `args ${seed}` };
}

/** Readers see the whole file or none. */
function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
