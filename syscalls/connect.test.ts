import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect as connectSocket, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConnectionError, connect, SyscallError } from "./index.js";
import { type FakeKernel, startFakeKernel } from "./testing-support/fake-kernel.js";
import { findEndpoint, grpcTarget } from "./wire/address.js";

let kernel: FakeKernel;
beforeEach(async () => {
  kernel = await startFakeKernel();
});
afterEach(() => kernel[Symbol.asyncDispose]());

test("attaching presents ABI, token and name, and takes the welcome", async () => {
  kernel.welcome = () => ({ features: ["resume"] });
  await using os = await connect({ address: kernel.address, token: "secret", name: "me" });
  expect(kernel.sessions[0]?.hello).toMatchObject({ abi: 1, token: "secret", name: "me", pid: 0n });
  expect(os.pid).toBe("n1.17");
  expect(os.run).toBe(1);
  expect(os.principal).toBe("admin");
  expect(os.welcome).toEqual({
    abi: 1,
    kernelVersion: "0.0.0-fake",
    node: "n1",
    features: ["resume"],
  });
});

test("a kernel that refuses is a SyscallError, by trailer", async () => {
  kernel.welcome = () => ({ refuse: { name: "EACCES", message: "the token is wrong" } });
  const refused = connect({ address: kernel.address, token: "wrong" });
  await expect(refused).rejects.toBeInstanceOf(SyscallError);
  await expect(refused).rejects.toMatchObject({
    code: "EACCES",
    message: "EACCES: the token is wrong",
  });
});

test("no daemon is a ConnectionError that says how to start one", async () => {
  const address = "unix:///tmp/contix-there-is-none.sock";
  const failed = connect({ address, token: "t" });
  await expect(failed).rejects.toBeInstanceOf(ConnectionError);
  await expect(failed).rejects.toMatchObject({
    address,
    message: `no daemon at ${address}: start one with \`contix up\``,
  });
});

test("an address elsewhere where nobody is says why", async () => {
  const address = "grpc://127.0.0.1:1";
  await expect(connect({ address, token: "t" })).rejects.toThrow(
    `no daemon at ${address} (connect ECONNREFUSED 127.0.0.1:1): check the address`,
  );
});

test("a home without a daemon says the same", async () => {
  const home = await mkdtemp(join(tmpdir(), "contix-home-"));
  await expect(connect({ home })).rejects.toThrow(
    `no daemon at unix://${home}/contixd.sock: start one with \`contix up\``,
  );
  await rm(home, { recursive: true });
});

test("a kernel that does not answer is given up", async () => {
  const silent = await startSilentServer();
  await expect(connect({ address: silent.address, token: "t", timeoutMs: 20 })).rejects.toThrow(
    /did not answer within 20 ms/,
  );
  await silent.close();
});

test("a connection that is cut before the welcome is made again while there is time", async () => {
  const crowded = await startCrowdedServer(kernel.address, 3);
  {
    await using os = await connect({ address: crowded.address, token: "t" });
    expect(os.pid).toBe("n1.17");
  }
  expect([crowded.connections(), kernel.sessions.length]).toEqual([4, 1]);
  await crowded.close();
  const full = await startCrowdedServer(kernel.address, Infinity);
  const failed = connect({ address: full.address, token: "t", timeoutMs: 150 });
  await expect(failed).rejects.toBeInstanceOf(ConnectionError);
  await expect(failed).rejects.toThrow(/cut .*connections? in 150 ms.* too many connect at once/);
  await full.close();
});

test("an address that is none is a TypeError", async () => {
  await expect(connect({ address: "localhost:1", token: "t" })).rejects.toThrow(
    /^address: expected unix:\/\/\/path or grpc:\/\/host:port/,
  );
});

test("addresses become targets", () => {
  expect(grpcTarget("unix:///run/contixd.sock")).toBe("unix:///run/contixd.sock");
  expect(grpcTarget("grpc://127.0.0.1:7777")).toBe("127.0.0.1:7777");
  expect(grpcTarget("grpc://[::1]:7777")).toBe("[::1]:7777");
  expect(grpcTarget("grpcs://host:7777")).toBe("host:7777");
  expect(() => grpcTarget("unix://relative")).toThrow(TypeError);
});

test("the caller wins over the environment, an address over a home", async () => {
  const home = await mkdtemp(join(tmpdir(), "contix-home-"));
  await mkdir(join(home, "other"));
  await writeFile(join(home, "admin.token"), "admin\n");
  await writeFile(join(home, "other", "admin.token"), "other\n");
  const env = { CONTIX_ADDRESS: "unix:///a", CONTIX_TOKEN: "one-time", CONTIX_HOME: home };
  expect(await findEndpoint({}, env)).toMatchObject({ address: "unix:///a", token: "one-time" });
  expect(await findEndpoint({}, { CONTIX_HOME: home })).toMatchObject({
    address: `unix://${home}/contixd.sock`,
    token: "admin",
  });
  expect(await findEndpoint({ home: join(home, "other") }, env)).toMatchObject({
    address: `unix://${home}/other/contixd.sock`,
    token: "other",
  });
  expect(await findEndpoint({ address: "grpc://h:1", token: "t" }, env)).toMatchObject({
    address: "grpc://h:1",
    token: "t",
  });
  await rm(home, { recursive: true });
});

test("certificates are paths or text, from the caller or the environment", async () => {
  const env = { CONTIX_ADDRESS: "grpcs://h:1", CONTIX_TOKEN: "t", CONTIX_CA: "/ca.pem" };
  const { tls } = await findEndpoint({ cert: "mine" }, env);
  expect(tls).toEqual({ ca: "/ca.pem", cert: "mine", key: undefined });
  const missing = connect({ address: "grpcs://127.0.0.1:1", token: "t", ca: "/no/such.pem" });
  await expect(missing).rejects.toThrow(/ca: ENOENT/);
});

test("closing ends the process, twice is fine, and later calls are refused", async () => {
  const os = await connect({ address: kernel.address, token: "t" });
  const waiting = os.ipc.recv();
  const lost = expect(waiting).rejects.toThrow("the connection was closed");
  await os.close();
  await os.close();
  await lost;
  await expect(os.sys.uname()).rejects.toBeInstanceOf(ConnectionError);
});

/** A server that accepts connections and never says a word. */
function startSilentServer(): Promise<{ address: string; close(): Promise<void> }> {
  return startServer(() => undefined);
}

/** A door to the kernel that cuts the first connections. */
async function startCrowdedServer(address: string, cuts: number) {
  let count = 0;
  const server = await startServer((socket) => {
    if (++count <= cuts) return void socket.destroy();
    const inner = connectSocket(address.replace("unix://", ""));
    inner.on("error", () => socket.destroy());
    socket.pipe(inner).pipe(socket);
  });
  return { ...server, connections: () => count };
}

async function startServer(
  take: (socket: Socket) => void,
): Promise<{ address: string; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    take(socket);
  });
  const home = await mkdtemp(join(tmpdir(), "contix-silent-"));
  await new Promise<void>((listening) => server.listen(join(home, "s"), listening));
  return {
    address: `unix://${home}/s`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
      await rm(home, { recursive: true });
    },
  };
}
