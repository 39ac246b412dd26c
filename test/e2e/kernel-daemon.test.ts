/** The daemon as its operator meets it: its home, its settings, its doors. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { start, until } from "../support/kernels.js";
import { generateCall, syscall, unary } from "../support/raw-client.js";

const CONTIXD = fileURLToPath(new URL("../../dist/cli/contixd.js", import.meta.url));

function contixd(...args: string[]): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [CONTIXD, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (bytes) => {
    stderr += bytes;
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stderr })));
}

describe("a daemon", () => {
  it("keeps its home to itself", async () => {
    const kernel = await start();
    expect(statSync(kernel.home).mode & 0o777).toBe(0o700);
    expect(statSync(`${kernel.home}/admin.token`).mode & 0o777).toBe(0o600);
    const second = await contixd("--home", kernel.home, "--driver", "fake");
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("another daemon runs on");
    await using os = await kernel.connect();
    expect((await os.sys.uname()).driver).toBe("fake");
  });

  it("takes its home back after kill -9, without waiting", async () => {
    const kernel = await start();
    process.kill(kernel.pid, "SIGKILL");
    const child = spawn(process.execPath, [CONTIXD, "--home", kernel.home, "--driver", "fake"], {
      stdio: "ignore",
    });
    try {
      const facts = (): number =>
        JSON.parse(readFileSync(`${kernel.home}/contixd.json`, "utf8")).pid;
      await until(async () => existsSync(`${kernel.home}/contixd.json`) && facts() === child.pid);
    } finally {
      child.kill("SIGTERM");
      await new Promise((resolve) => child.once("close", resolve));
    }
    expect(readdirSync(kernel.home).sort()).toEqual(["admin.token", "audit", "logs"]);
  });

  it("says which port is in use", async () => {
    const kernel = await start();
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    const address = `127.0.0.1:${port}`;
    const { code, stderr } = await contixd(
      "--home",
      `${kernel.home}/b`,
      "--driver",
      "fake",
      "--listen",
      address,
    );
    taken.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot listen on ${address}`);
  });

  it.each([
    [["--slots", "0"], /^contixd: configuration: slots: .*>=1$/m],
    [["--slots", "many"], /^contixd: configuration: slots: .*number/m],
    [["--listen", "0.0.0.0:99"], /^contixd: configuration: listen: .* TLS is required/m],
    [["--policy", "lottery"], /'--policy <name>' .* fifo, rr, priority/m],
    [["--driver-options", "{"], /^contixd: configuration: driverOptions: must be JSON/m],
  ])("refuses %j", async (flags, says) => {
    const root = mkdtempSync(join(tmpdir(), "contix-refused-"));
    onTestFinished(() => rmSync(root, { recursive: true }));
    const home = join(root, "home");
    const { code, stderr } = await contixd("--home", home, "--driver", "fake", ...flags);
    expect(code).toBe(1);
    expect(stderr).toMatch(says);
    for (const trace of ["contixd.json", "contixd.sock"])
      expect(existsSync(join(home, trace)), trace).toBe(false);
  });
});

describe("other doors", () => {
  it("unary Call: results, and errno as a status with its detail", async () => {
    const kernel = await start();
    const ok = await unary(
      kernel.address,
      kernel.token,
      syscall(0n, generateCall("hi", { maxTokens: 4 })),
    );
    expect(ok).toMatchObject({ result: { $case: "generate" } });
    const bad = await unary(kernel.address, kernel.token, syscall(0n, generateCall("")));
    expect(bad).toMatchObject({ code: 3, details: expect.stringContaining("EINVAL") });
  });

  it("TCP on loopback when asked", async () => {
    const kernel = await start({ flags: ["--listen", "127.0.0.1:0"] });
    const { addresses } = JSON.parse(readFileSync(`${kernel.home}/contixd.json`, "utf8"));
    await using os = await kernel.connect({ address: addresses[1] });
    expect((await os.sys.uname()).abi).toBe(1);
  });
});
