import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ensureNatsServer } from "../../cli/nats/find.js";
import { systemClock } from "../../kernel/clock.js";
import { silentLog } from "../../kernel/log.js";
import { startNatsServer } from "../../kernel/nats/server.js";

const dir = mkdtempSync(join(tmpdir(), "contix-nats-"));
let binary: string;
beforeAll(async () => {
  binary = await ensureNatsServer();
}, 600_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function start(name: string, port = 0, settings = "") {
  const options = { binary, directory: join(dir, name), settings, port };
  return startNatsServer({ ...options, clock: systemClock, log: silentLog });
}

/** The first line that a server says, or undefined when nobody listens. */
function greeting(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("data", (bytes) => {
      socket.destroy();
      resolve(bytes.toString().slice(0, 5));
    });
    socket.once("error", () => resolve(undefined));
  });
}

async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe("a private nats-server", () => {
  test("listens on loopback with a configuration for its owner alone, and stops", async () => {
    const server = await start("plain");
    expect(await greeting(server.port)).toBe("INFO ");
    expect(statSync(join(dir, "plain/server.conf")).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, "plain")).mode & 0o777).toBe(0o700);
    await server.stop();
    expect(await greeting(server.port)).toBeUndefined();
  });

  test("is started again on its port when it is killed, and not once it was stopped", async () => {
    const server = await start("killed");
    const first = server.osPid;
    process.kill(first, "SIGKILL");
    await until(() => server.osPid !== first && server.osPid !== 0);
    expect(await greeting(server.port)).toBe("INFO ");
    expect(server.restarts).toBe(1);
    await server.stop();
    expect(server.restarts).toBe(1);
  });

  test("takes another port when somebody has the wanted one", async () => {
    const one = await start("one");
    onTestFinished(() => one.stop());
    const two = await start("two", one.port);
    onTestFinished(() => two.stop());
    expect(two.port).not.toBe(one.port);
    expect(await greeting(two.port)).toBe("INFO ");
  });

  test("a configuration that it refuses is EIO with its words", async () => {
    await expect(start("refused", 0, "no_such_setting: 1")).rejects.toThrow(
      /nats-server did not start: .*no_such_setting/,
    );
  });

  test("ends with a daemon that is killed, and what outlived its guard ends at the next start", async () => {
    const code = `
      import { startNatsServer } from ${JSON.stringify(join(import.meta.dirname, "../../kernel/nats/server.ts"))};
      import { systemClock } from ${JSON.stringify(join(import.meta.dirname, "../../kernel/clock.ts"))};
      import { silentLog } from ${JSON.stringify(join(import.meta.dirname, "../../kernel/log.ts"))};
      const server = await startNatsServer({ binary: ${JSON.stringify(binary)}, directory: ${JSON.stringify(join(dir, "orphan"))}, settings: "", clock: systemClock, log: silentLog });
      console.log(server.port);`;
    const args = ["--import", "tsx", "--input-type=module", "-e", code];
    const daemon = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const port = await new Promise<number>((resolve) => {
      daemon.stdout.once("data", (bytes) => resolve(Number(String(bytes))));
    });
    expect(await greeting(port)).toBe("INFO ");
    daemon.kill("SIGKILL");
    await until(async () => (await greeting(port)) === undefined);
    // Its guard dead too: the process stays, until the next server of that directory.
    const left = spawn(binary, ["--config", join(dir, "orphan/server.conf")], { stdio: "ignore" });
    const gone = new Promise((resolve) => left.once("exit", resolve));
    await until(() => {
      try {
        return Number(readFileSync(join(dir, "orphan/server.pid"), "utf8")) === left.pid;
      } catch {
        return false;
      }
    });
    const next = await start("orphan");
    onTestFinished(() => next.stop());
    await gone;
    expect(await greeting(next.port)).toBe("INFO ");
  });
});
