/**
 * What the audit costs: CPU of so many records, made, chained, signed and written as they
 * are when a thousand come together. `npx tsx bench/audit.ts [records]`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openAudit } from "../kernel/cap/audit/make.js";
import type { AuditEntry } from "../kernel/cap/audit.js";
import { systemClock, systemRandomness } from "../kernel/clock.js";
import { silentLog } from "../kernel/log.js";

const GROUP = 1000;

const records = Number(process.argv[2] ?? 100_000);
const home = mkdtempSync(join(tmpdir(), "contix-bench-audit-"));
const { audit, close } = await openAudit({
  config: { home, auditHeads: "", auditFile: "64MiB", auditFiles: 0 },
  clock: systemClock,
  random: systemRandomness,
  log: silentLog,
});
/** What the trap hands over; made before the clock runs. */
function entry(i: number): AuditEntry {
  return {
    at: systemClock.wall(),
    principal: "team",
    pid: (1n << 52n) | 3n,
    run: 1,
    seq: BigInt(i),
    call: "ctx.append",
    object: "context n1.9",
    handle: 2,
    result: "ok",
    reason: "",
    digest: "ZmFrZSBkaWdlc3Qgb2YgYSBjYWxs",
  };
}

function spentUs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return user + system;
}

/** Microseconds of a group: in the calls, and in all. */
async function group(from: number): Promise<{ recordUs: number; allUs: number }> {
  const entries = Array.from({ length: GROUP }, (_, i) => entry(from + i));
  const start = process.cpuUsage();
  for (const one of entries) audit.record(one);
  const recordUs = spentUs(start);
  await audit.sync();
  return { recordUs, allUs: spentUs(start) };
}

const groups: { recordUs: number; allUs: number }[] = [];
for (let i = 0; i < records; i += GROUP) groups.push(await group(i));
await close();
/** The middle group's: first ones compile the code. */
function each(of: (took: (typeof groups)[number]) => number): number {
  const us = groups.map(of).sort((a, b) => a - b);
  return Math.round(((us[us.length >> 1] ?? Number.NaN) / GROUP) * 100) / 100;
}
const cpuUsEach = each(({ allUs }) => allUs);
const ofThatInTheCallUs = each(({ recordUs }) => recordUs);
process.stdout.write(`${JSON.stringify({ records, cpuUsEach, ofThatInTheCallUs })}\n`);
rmSync(home, { recursive: true, force: true });
