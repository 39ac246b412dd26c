import {
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { until } from "../../test/support/kernels.js";
import { systemClock } from "../clock.js";
import { Logs } from "./logs.js";

const MOST = 1 << 10;

function directory(): string {
  const dir = mkdtempSync(join(tmpdir(), "contix-logs-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return dir;
}

/** A process begins, writes so much, and is over. */
async function live(logs: Logs, dir: string, pid: number, bytes = 1): Promise<string> {
  const path = join(dir, `n1.${pid}.log`);
  const log = await logs.begin(BigInt(pid), path);
  for (let left = bytes; left > 0; left -= MOST) {
    await log.append(Buffer.alloc(Math.min(MOST, left)));
  }
  // So that they are over in their order.
  await log.close();
  logs.close(BigInt(pid));
  return path;
}

it("keeps the newest logs of those that are over, and all of those that run", async () => {
  const dir = directory();
  const logs = new Logs(MOST, systemClock);
  const running = await logs.begin(9999n, join(dir, "n1.9999.log"));
  const paths: string[] = [];
  for (let pid = 1; pid <= 300; pid++) paths.push(await live(logs, dir, pid));
  await until(() => readdirSync(dir).length === 257);
  expect(paths.map((path) => existsSync(path))).toEqual(paths.map((_, i) => i >= 44));
  expect(existsSync(running.path)).toBe(true);
  await running.close();
});

it("keeps only so many bytes, the former files counted", async () => {
  const dir = directory();
  const logs = new Logs(MOST, systemClock);
  const sizes = (): number[] => readdirSync(dir).map((name) => statSync(join(dir, name)).size);
  for (let pid = 1; pid <= 40; pid++) await live(logs, dir, pid, 2 * MOST);
  await until(() => sizes().length === 64);
  expect(existsSync(join(dir, "n1.8.log.1"))).toBe(false);
  expect(existsSync(join(dir, "n1.9.log.1"))).toBe(true);
  expect(sizes()).toEqual(Array(64).fill(MOST));
});

it("counts what an earlier daemon left, and not the daemon's own log", async () => {
  const dir = directory();
  writeFileSync(join(dir, "contixd.log"), "");
  for (let pid = 1; pid <= 300; pid++) {
    const path = join(dir, `n1.${pid}.log`);
    writeFileSync(path, "old");
    utimesSync(path, pid, pid);
  }
  const logs = new Logs(MOST, systemClock);
  // The oldest of its names is begun anew.
  const begun = await logs.begin(1n, join(dir, "n1.1.log"));
  await until(() => readdirSync(dir).length === 258);
  expect(existsSync(begun.path)).toBe(true);
  await begun.close();
  expect(existsSync(join(dir, "n1.44.log"))).toBe(false);
  expect(existsSync(join(dir, "n1.45.log"))).toBe(true);
});
