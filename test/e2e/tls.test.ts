/** The TLS door as its users meet it: certificates of the kernel's and of clients, new ones, old ones. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditDirectory, auditFile } from "../../kernel/cap/audit/files.js";
import { type Listener, listen } from "../../kernel/doors/listeners.js";
import { connect } from "../../syscalls/index.js";
import { startTestKernel, type TestKernel } from "../../syscalls/testing.js";
import { type Authority, authority, type Pems, writePems } from "../support/authority.js";
import { until } from "../support/kernels.js";

const CONTIXD = fileURLToPath(new URL("../../dist/cli/contixd.js", import.meta.url));

let dir: string;
let own: Authority;
let foreign: Authority;
let mine: Pems;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "contix-tls-"));
  [own, foreign] = await Promise.all([authority("own"), authority("foreign")]);
  mine = await own.issue();
  writePems(dir, await own.issue());
  writeFileSync(join(dir, "ca.pem"), own.ca);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("a daemon whose key does not fit its certificate does not start, and says what to do", async () => {
  writeFileSync(join(dir, "other.pem"), (await own.issue()).key);
  const tls = ["--tls-cert", join(dir, "cert.pem"), "--tls-key", join(dir, "other.pem")];
  const home = join(dir, "home");
  const args = [CONTIXD, "--home", home, "--driver", "fake", "--listen", "127.0.0.1:0", ...tls];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(status).toBe(1);
  expect(stderr).toMatch(/tlsKey: .*other.pem: it is not the key of .*; give the key that/);
});

describe("a kernel that wants clients' certificates", () => {
  let kernel: TestKernel;
  let address: string;
  beforeAll(async () => {
    const files = ["--tls-cert", join(dir, "cert.pem"), "--tls-key", join(dir, "key.pem")];
    const flags = ["--listen", "127.0.0.1:0", ...files, "--tls-client-ca", join(dir, "ca.pem")];
    kernel = await startTestKernel({ flags });
    address = JSON.parse(readFileSync(join(kernel.home, "contixd.json"), "utf8")).addresses[1];
  });
  afterAll(() => kernel?.stop());
  const enter = (tls: { ca?: string; cert?: string; key?: string }, token = kernel.token) =>
    connect({ address, token, ...tls });

  test("lets in whose certificate its CA has signed, by name and by address, and still asks for the token", async () => {
    for (const at of [address, address.replace("127.0.0.1", "localhost")]) {
      await using os = await connect({ address: at, token: kernel.token, ca: own.ca, ...mine });
      expect((await os.llm.generate("hi", { maxTokens: 3 })).tokens).toHaveLength(3);
    }
    const wrong = enter({ ca: own.ca, ...mine }, "x".repeat(43));
    await expect(wrong).rejects.toMatchObject({ code: "EACCES" });
  });

  test("refuses every other, and the client hears why and what to do", async () => {
    const { ca } = own;
    const past = await own.issue({ until: new Date(Date.now() - 60_000) });
    const denied = { name: "SyscallError", code: "EACCES" };
    const unmet = { name: "ConnectionError" };
    const table: [string, Parameters<typeof enter>[0], object, RegExp][] = [
      ["no certificate", { ca }, denied, /wants a certificate of the client's: set CONTIX_CERT/],
      ["another CA's", { ca, ...(await foreign.issue()) }, denied, /does not trust .* tlsClientCa/],
      ["an expired one", { ca, ...past }, denied, /expired on .*; get a new one/],
      ["another's key", { ca, cert: mine.cert, key: past.key }, unmet, /that belong together/],
      ["no CA to know it by", { ...mine }, unmet, /does not trust the kernel's.*set CONTIX_CA/],
      ["a wrong CA to know it by", { ca: foreign.ca, ...mine }, unmet, /set CONTIX_CA/],
    ];
    for (const [what, tls, kind, says] of table) {
      const message = expect.stringMatching(says);
      await expect(enter(tls), what).rejects.toMatchObject({ ...kind, message });
    }
    const log = auditFile(auditDirectory(kernel.home), 1);
    await until(() => readFileSync(log, "utf8").split(/EACCES.*certificate/).length > 3);
  });

  test("does not speak without TLS", async () => {
    const plain = connect({
      address: address.replace("grpcs:", "grpc:"),
      token: kernel.token,
      timeoutMs: 500,
    });
    await expect(plain).rejects.toMatchObject({ name: "ConnectionError" });
    await expect(plain).rejects.toThrow(/`grpcs:` is the one with TLS/);
  });

  test("takes new certificates at SIGHUP; streams go on, and bad ones change nothing", async () => {
    await using before = await enter({ ca: own.ca, ...mine });
    const story = before.llm.generate("Once", { maxTokens: 400, ignoreEos: true });
    const next = await foreign.issue();
    writePems(dir, next);
    process.kill(kernel.pid, "SIGHUP");
    await until(() =>
      enter({ ca: foreign.ca, ...mine }).then(
        (os) => os.close().then(() => true),
        () => false,
      ),
    );
    expect((await story).tokens).toHaveLength(400);
    // A key that does not fit: the daemon goes on with what it has.
    writePems(dir, { cert: next.cert, key: mine.key });
    process.kill(kernel.pid, "SIGHUP");
    await before.sys.uname();
    await using after = await enter({ ca: foreign.ca, ...mine });
    await after.sys.uname();
  });
});

describe("the kernel's own certificate", () => {
  const listeners: Listener[] = [];
  afterAll(() => {
    for (const listener of listeners) listener.close();
  });

  /** A listener that says back what it hears. */
  async function echo(files: ReturnType<typeof writePems>, wall: () => number) {
    const clock = { wall, after: () => () => undefined };
    const parts = { clock, log: { warn: () => undefined } };
    const events = {
      entered: () => true,
      denied: () => undefined,
      ready: (socket: import("node:net").Socket) => void socket.on("error", () => {}).pipe(socket),
    };
    const listener = await listen("127.0.0.1:0", { ...files, tlsClientCa: "" }, parts, events);
    listeners.push(listener);
    return listener;
  }
  const dial = async (listener: Listener) => {
    const port = Number(listener.address.split(":").at(-1));
    const socket = connectTls({ port, ca: own.ca, ALPNProtocols: ["h2"], servername: "localhost" });
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
    });
    return socket;
  };
  const hears = (socket: Awaited<ReturnType<typeof dial>>, text: string) =>
    new Promise<string>((resolve) => {
      socket.once("data", (bytes) => resolve(String(bytes)));
      socket.write(text);
    });

  test("expires: who is connected stays, who comes is told, a new one is taken", async () => {
    // It must be good for the first handshake and then end: longer where that was too slow.
    for (let seconds = 2; ; seconds *= 2) {
      const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + seconds * 1000);
      const listener = await echo(
        writePems(dir, await own.issue({ until })),
        () => Date.now() - 10_000,
      );
      const early = await dial(listener).catch(() => undefined);
      if (early === undefined) continue;
      while (Date.now() <= until.getTime()) {
        await new Promise((resolve) => setTimeout(resolve, until.getTime() - Date.now() + 10));
      }
      expect(await hears(early, "still here")).toBe("still here");
      await expect(dial(listener)).rejects.toMatchObject({ code: "CERT_HAS_EXPIRED" });
      const address = listener.address.replace("127.0.0.1", "localhost");
      const agent = connect({ address, token: "t", ca: own.ca });
      await expect(agent).rejects.toThrow(/certificate has expired: its operator must replace it/);
      writePems(dir, await own.issue());
      listener.reload?.();
      const late = await dial(listener);
      expect(await hears(late, "me too")).toBe("me too");
      expect(await hears(early, "and me")).toBe("and me");
      for (const socket of [early, late]) socket.destroy();
      return;
    }
  });
});
