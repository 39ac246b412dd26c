import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemRandomness } from "./clock.js";
import { type Home, openHome } from "./home.js";

let base: string;
const open: Home[] = [];
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "contix-home-"));
});
afterEach(() => {
  for (const home of open.splice(0)) home.release();
  rmSync(base, { recursive: true, force: true });
});

async function take(path: string): Promise<Home> {
  const home = await openHome(path, systemRandomness);
  open.push(home);
  return home;
}
const mode = (path: string): number => statSync(path).mode & 0o7777;

describe("a home", () => {
  it("is made private, with a token of its own that lasts", async () => {
    const path = join(base, "a", "b");
    const first = await take(path);
    expect(mode(path)).toBe(0o700);
    expect(mode(join(path, "admin.token"))).toBe(0o600);
    first.release();
    expect((await take(path)).adminToken).toBe(first.adminToken);
  });

  it("has one daemon, by whatever path", async () => {
    const path = join(base, "h");
    await take(path);
    symlinkSync(path, join(base, "link"));
    await expect(take(path)).rejects.toMatchObject({ code: "EEXIST" });
    await expect(take(join(base, "link"))).rejects.toMatchObject({ code: "EEXIST" });
  });

  it("is closed to others when it is ours, and left alone when it is not", async () => {
    const ours = join(base, "ours");
    mkdirSync(join(ours, "models"), { recursive: true });
    writeFileSync(join(ours, "config.yaml"), "");
    chmodSync(ours, 0o755);
    await take(ours);
    expect(mode(ours)).toBe(0o700);
    const shared = join(base, "shared");
    mkdirSync(join(shared, "somebody"), { recursive: true });
    chmodSync(shared, 0o1777);
    await expect(take(shared)).rejects.toMatchObject({
      code: "EPERM",
      message: expect.stringContaining("somebody"),
    });
    expect(mode(shared)).toBe(0o1777);
    expect(existsSync(join(shared, "logs"))).toBe(false);
  });

  it("that is a file, or can not be written, is one clear error", async () => {
    const file = join(base, "file");
    writeFileSync(file, "");
    await expect(take(file)).rejects.toMatchObject({
      message: expect.stringContaining(`cannot use ${file} as home`),
    });
    const blocked = join(base, "blocked");
    mkdirSync(join(blocked, "admin.token.new", "x"), { recursive: true, mode: 0o700 });
    await expect(take(blocked)).rejects.toMatchObject({
      message: expect.stringContaining(`cannot write to the home ${blocked}`),
    });
    // The lock went with the failure.
    rmSync(join(blocked, "admin.token.new"), { recursive: true });
    await take(blocked);
  });

  it("with a path too long for a socket makes nothing", async () => {
    const path = join(base, "x".repeat(90));
    await expect(take(path)).rejects.toMatchObject({ code: "EINVAL" });
    expect(existsSync(path)).toBe(false);
  });

  it("replaces what is left of a token", async () => {
    const path = join(base, "h");
    mkdirSync(path, { mode: 0o700 });
    writeFileSync(join(path, "admin.token"), "short\n");
    const { adminToken } = await take(path);
    expect(adminToken.length).toBeGreaterThanOrEqual(43);
    expect(readFileSync(join(path, "admin.token"), "utf8").trim()).toBe(adminToken);
  });

  it("announces itself, and takes everything back", async () => {
    const home = await take(join(base, "h"));
    home.announce({ pid: 1 });
    expect(JSON.parse(readFileSync(join(home.path, "contixd.json"), "utf8"))).toEqual({ pid: 1 });
    home.release();
    expect(existsSync(join(home.path, "contixd.json"))).toBe(false);
  });
});
