/** A NATS server that somebody else runs, as docs/nats.md says: it includes the kernel's accounts. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureNatsServer } from "../../cli/nats/find.js";
import { systemClock, systemRandomness } from "../../kernel/clock.js";
import { silentLog } from "../../kernel/log.js";
import { openAccounts } from "../../kernel/nats/accounts.js";
import { type NatsServer, startNatsServer } from "../../kernel/nats/server.js";
import { certificate } from "./doors.js";
import { until } from "./kernels.js";

export interface GivenServer {
  /** `tls://127.0.0.1:PORT`. */
  readonly url: string;
  /** PEM of its certificate's CA, and the file. */
  readonly ca: string;
  readonly caFile: string;
  /** Homes whose daemons it knows; they share the secrets. */
  readonly homes: readonly string[];
  /** Starts it, on the same port each time; `system` false: without a system account for us. */
  start(system?: boolean): Promise<void>;
  stop(): Promise<void>;
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

/** Makes one that is not started yet, for kernels on `count` homes. */
export async function givenServer(count: number): Promise<GivenServer> {
  const dir = mkdtempSync(join(tmpdir(), "contix-given-"));
  const homes = Array.from({ length: count }, (_, i) => join(dir, `home${i + 1}`));
  const [first = ""] = homes;
  const accounts = openAccounts(join(first, "nats"), systemRandomness);
  for (const home of homes.slice(1)) {
    mkdirSync(join(home, "nats"), { recursive: true, mode: 0o700 });
    const secrets = readFileSync(join(first, "nats/secrets.json"));
    writeFileSync(join(home, "nats/secrets.json"), secrets, { mode: 0o600 });
  }
  const { cert, key } = await certificate();
  const [caFile, keyFile] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  writeFileSync(caFile, cert);
  writeFileSync(keyFile, key);
  const copy = join(dir, "accounts.conf");
  const binary = await ensureNatsServer();
  const directory = join(dir, "server");
  const settings = `tls { cert_file: "${caFile}", key_file: "${keyFile}" }\ninclude "../accounts.conf"\n`;
  let server: NatsServer | undefined;
  let port = 0;
  const start = async (system = true): Promise<void> => {
    writeFileSync(copy, system ? accounts.settings : withoutSystem(accounts.settings));
    const clock = systemClock;
    server = await startNatsServer({ binary, directory, settings, port, clock, log: silentLog });
    ({ port } = server);
  };
  const signal = (name: NodeJS.Signals): void => {
    if (server) process.kill(server.osPid, name);
  };
  // For its port: nobody else takes it in the meantime.
  await start();
  await server?.stop();
  return {
    ...{ url: `tls://127.0.0.1:${port}`, ca: cert, caFile, homes, start },
    stop: async () => server?.stop(),
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    async close() {
      await server?.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** As docs/nats.md says for those whose system account is another's. */
function withoutSystem(settings: string): string {
  return settings
    .split("\n")
    .filter((line) => !/^\s*SYS |^system_account/.test(line))
    .join("\n")
    .replace(', "contix-system"', "");
}

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface HomeKernel {
  readonly address: string;
  readonly token: string;
  /** kill -9, as it stands. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** A daemon with the fake driver on a home that is there; it ends with the tests. */
export async function kernelAt(home: string, flags: readonly string[]): Promise<HomeKernel> {
  const program = ["--import", join(ROOT, "dist/syscalls/testing-guard.js")];
  const quiet = ["--drain-ms", "0", "--log-level", "error"];
  const args = ["--home", home, "--driver", "fake", ...quiet, ...flags];
  const child = spawn(process.execPath, [...program, join(ROOT, "dist/cli/contixd.js"), ...args], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  const ended = once(child, "close");
  const record = join(home, "contixd.json");
  await until(() => {
    if (child.exitCode !== null) throw new Error(`contixd ended with ${child.exitCode}`);
    return existsSync(record) && JSON.parse(readFileSync(record, "utf8")).pid === child.pid;
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return {
    address: `unix://${join(home, "contixd.sock")}`,
    token: readFileSync(join(home, "admin.token"), "utf8").trim(),
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
  };
}
