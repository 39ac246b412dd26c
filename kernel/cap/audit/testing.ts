/** A clock that is moved by hand, entries, and logs in directories of their own: for tests of the audit. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, systemRandomness } from "../../clock.js";
import { silentLog } from "../../log.js";
import type { AuditEntry } from "../audit.js";
import { auditDirectory } from "./files.js";
import { type HomeAudit, openAudit } from "./make.js";

export function entry(over: Partial<AuditEntry> = {}): AuditEntry {
  return {
    at: 1_700_000_000_000,
    principal: "team",
    pid: (1n << 52n) | 3n,
    run: 1,
    seq: 7n,
    call: "ctx.append",
    object: "context n1.9",
    handle: 2,
    result: "ok",
    reason: "",
    digest: "abc",
    ...over,
  };
}

export interface TestLog extends HomeAudit {
  readonly home: string;
  readonly directory: string;
  /** The heads that were exported, a line each. */
  readonly heads: string[];
}

/** Opens the log of a home, a fresh one by default. */
export async function openTestLog(
  options: { home?: string; auditFile?: string; auditFiles?: number; auditHeads?: string } = {},
): Promise<TestLog> {
  const { home = mkdtempSync(join(tmpdir(), "contix-audit-")) } = options;
  const config = { auditHeads: "", auditFile: "64MiB", auditFiles: 0, ...options, home };
  const log = await openAudit({
    config,
    clock: systemClock,
    random: systemRandomness,
    log: silentLog,
  });
  const heads: string[] = [];
  log.exportTo(async (line) => void heads.push(line));
  return { ...log, home, directory: auditDirectory(home), heads };
}

/** Records so many calls and lets each group be written before the next. */
export async function write({ audit }: HomeAudit, groups: number, each: number): Promise<void> {
  for (let group = 0; group < groups; group++) {
    for (let i = 0; i < each; i++) audit.record(entry({ seq: BigInt(group * each + i + 1) }));
    await audit.sync();
  }
}
