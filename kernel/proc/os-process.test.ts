import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { startOsProcess } from "./os-process.js";

const dir = mkdtempSync(join(tmpdir(), "contix-os-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
let logs = 0;

/** Starts and waits for the end; resolves with its exit and its log. */
async function run(...argv: string[]) {
  const log = join(dir, `${logs++}.log`);
  const spec = { argv, env: { SAID: "yes" }, cwd: dir, log };
  let ended: unknown;
  const os = await startOsProcess(spec, (code, cause) => {
    ended = { code, cause };
  });
  await os.gone;
  return { ended, text: readFileSync(log, "utf8") };
}

describe("an agent's OS process", () => {
  it("has its environment, and nothing secret of the daemon's", async () => {
    process.env.CONTIX_TEST_SECRET = "no";
    const { ended, text } = await run("sh", "-c", "env; exit 3");
    delete process.env.CONTIX_TEST_SECRET;
    expect(ended).toEqual({ code: 3, cause: "exit" });
    expect(text).toContain("SAID=yes");
    expect(text).not.toContain("CONTIX_TEST_SECRET");
  });

  it("leaves nothing behind: what it started ends with it", async () => {
    const { text } = await run("sh", "-c", "sleep 600 & echo $!");
    const gone = (): boolean => {
      const stat = `/proc/${Number(text)}/stat`;
      return !existsSync(stat) || readFileSync(stat, "utf8").includes(") Z ");
    };
    while (!gone()) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it.each([
    [["/no/such/program"], "ENOENT"],
    [["/etc/passwd"], "EPERM"],
    [["sh", "a\0b"], "EINVAL"],
    [["sh", "x".repeat(3_000_000)], "E2BIG"],
  ])("that can not start is a typed error, and costs no descriptor", async (argv, code) => {
    const before = readdirSync("/proc/self/fd").length;
    for (let i = 0; i < 5; i++) {
      await expect(run(...argv)).rejects.toMatchObject({ code, argument: "argv" });
    }
    expect(readdirSync("/proc/self/fd").length).toBeLessThan(before + 5);
  });
});
