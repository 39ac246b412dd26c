import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { homeDirectory, isAlive, isContixd, readRecord, runningDaemon } from "./home.js";

let home = "";
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "contix-home-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const record = (pid: number) => ({
  pid,
  address: "unix:///x/contixd.sock",
  version: "0.1.0",
  startedAt: "2026-01-01T00:00:00Z",
});

describe("homeDirectory", () => {
  it("is the flag's, else the environment's, else in the user's directory", () => {
    expect(homeDirectory("/a", { CONTIX_HOME: "/b" })).toBe("/a");
    expect(homeDirectory(undefined, { CONTIX_HOME: "/b" })).toBe("/b");
    expect(homeDirectory(undefined, { CONTIX_HOME: "" })).toBe(join(homedir(), ".contix"));
  });
});

describe("the daemon's record", () => {
  it("is none when there is no file, or no good one", async () => {
    expect(await readRecord(home)).toBeUndefined();
    await writeFile(join(home, "contixd.json"), "{ half");
    expect(await readRecord(home)).toBeUndefined();
    await writeFile(join(home, "contixd.json"), JSON.stringify({ pid: -1 }));
    expect(await readRecord(home)).toBeUndefined();
  });

  it("does not make a daemon of a stranger with the same pid", async () => {
    await writeFile(join(home, "contixd.json"), JSON.stringify(record(process.pid)));
    expect(await readRecord(home)).toEqual(record(process.pid));
    expect(isContixd(process.pid)).toBe(process.platform !== "linux");
    if (process.platform === "linux") expect(await runningDaemon(home)).toBeUndefined();
  });

  it("does not make a daemon of a process that has ended", async () => {
    const child = spawn(process.execPath, ["-e", ""], { stdio: "ignore" });
    await once(child, "exit");
    const pid = child.pid ?? 0;
    expect(isAlive(pid)).toBe(false);
    await writeFile(join(home, "contixd.json"), JSON.stringify(record(pid)));
    expect(await runningDaemon(home)).toBeUndefined();
  });
});
