/**
 * A NATS server that somebody else runs, over TLS, and two daemons on it: down at their
 * start, stuck, restarted under load; a kernel that is killed; no system account.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectPlain } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemRandomness } from "../../kernel/clock.js";
import { silentLog } from "../../kernel/log.js";
import { openAccounts, userOf } from "../../kernel/nats/accounts.js";
import { Connections } from "../../kernel/nats/connections.js";
import { ConnectionError, connect, type Os, SyscallError } from "../../syscalls/index.js";
import { until } from "../support/kernels.js";
import { plainNats } from "../support/nats-client.js";
import {
  type GivenServer,
  givenServer,
  type HomeKernel,
  kernelAt,
} from "../support/nats-server.js";
import { Traffic } from "../support/traffic.js";

let server: GivenServer;
let one: HomeKernel;
let two: HomeKernel;

function start(node: number): Promise<HomeKernel> {
  // Whom the URL names is nobody's to know, and no use to the kernel.
  const url = server.url.replace("://", "://bob:sesame@");
  const nats = ["--nats", url, "--nats-ca", server.caFile, "--node", String(node)];
  // A model that is slow to start on a busy machine must not cost an agent its run.
  return kernelAt(server.homes[node - 1] ?? "", [...nats, "--detach-grace-ms", "120000"]);
}

/** Over NATS, to the kernel of a node. */
function over(kernel: HomeKernel, more: { node?: string; token?: string } = {}): Promise<Os> {
  const { node = "", token = kernel.token } = more;
  const address = `${server.url}${node}`;
  return connect({ address, token, ca: server.ca, timeoutMs: 60_000 });
}

/** The same, for as long as the door is not open yet. */
async function whenOpen(kernel: HomeKernel, node = ""): Promise<Os> {
  for (;;) {
    const os = await over(kernel, { node }).catch((error: unknown) => {
      // A server without a kernel behind it lets nobody in.
      if (error instanceof ConnectionError || errnoOf(error) === "EACCES") return undefined;
      throw error;
    });
    if (os) return os;
  }
}

const errnoOf = (error: unknown): string => (error instanceof SyscallError ? error.code : "");

beforeAll(async () => {
  server = await givenServer(2);
  [one, two] = await Promise.all([start(1), start(2)]);
}, 120_000);
afterAll(async () => {
  await Promise.all([one?.stop(), two?.stop()]);
  await server?.close();
});

test("a server that is down at the start is waited for, and local work goes on meanwhile", async () => {
  await using local = await connect({ address: one.address, token: one.token });
  await local.ctx.create();
  await expect(over(one)).rejects.toThrow(/no daemon/);
  await server.start();
  await using os = await whenOpen(one);
  expect((await os.proc.ps()).map(({ pid }) => pid)).toContain(local.pid);
  await (await whenOpen(two, "/n2")).close();
  const facts = readFileSync(join(server.homes[0] ?? "", "contixd.json"), "utf8");
  expect(facts).toContain(server.url);
  expect(facts).not.toContain("sesame");
}, 60_000);

test("stuck and restarted under load: what was acknowledged happened once, and local work is not held up", async () => {
  await using local = await connect({ address: one.address, token: one.token });
  const agents = await Promise.all([1, 2, 3].map(() => over(one)));
  const pids = agents.map(({ pid }) => pid);
  const traffic = new Traffic(local, agents);
  await traffic.progress(6);
  server.freeze();
  await traffic.localProgress();
  server.thaw();
  await traffic.progress(6);
  await server.stop();
  await traffic.localProgress();
  await server.start();
  await traffic.progress(6);
  await traffic.end();
  const there = (await local.proc.ps()).map(({ pid }) => pid);
  for (const pid of pids) expect(there).toContain(pid);
  await Promise.all(agents.map((os) => os.close()));
}, 120_000);

test("two daemons: a topic reaches both, a gap is said, a token opens its own kernel only", async () => {
  await using here = await connect({ address: one.address, token: one.token });
  await using there = await over(two, { node: "/n2" });
  expect([here.pid.slice(0, 3), there.pid.slice(0, 3)]).toEqual(["n1.", "n2."]);
  await expect(over(two, { node: "/n1" })).rejects.toMatchObject({ code: "EACCES" });
  await using news = await here.ipc.subscribe("news.>");
  await using back = await there.ipc.subscribe("news.>");
  const publish = (os: Os, text: string, scope?: "all") =>
    os.ipc.publish("news.x", text, scope === undefined ? {} : { scope });
  // A subscription is in effect when the first message comes through.
  for (const [from, to] of [
    [there, news],
    [here, back],
  ] as const) {
    const mail = to.recv();
    let heard = false;
    void mail.then(() => {
      heard = true;
    });
    await until(async () => {
      if (!heard) await publish(from, "hello", "all");
      return heard;
    });
    expect(await mail).toMatchObject({ text: "hello", lapsed: false });
  }
  await server.stop();
  await until(async () => {
    try {
      await publish(here, "lost", "all");
      return false;
    } catch (error) {
      expect(error).toMatchObject({ code: "EAGAIN" });
      return true;
    }
  });
  await server.start();
  let lapsed = false;
  void (async () => {
    while (!lapsed) lapsed = (await back.recv()).lapsed;
  })();
  await until(async () => {
    await publish(here, "again");
    return lapsed;
  });
  expect((await there.sys.uname()).node).toBe("n2");
}, 120_000);

test("who comes while a kernel's line is made again is heard, at once and not by the next try", async () => {
  await (await whenOpen(one)).close();
  const { passwords } = openAccounts(join(server.homes[0] ?? "", "nats"), systemRandomness);
  const user = { user: userOf("system"), pass: passwords.system };
  const system = await connectPlain({ servers: server.url, tls: { ca: server.ca }, ...user });
  const connections = new Connections(system, silentLog);
  for (let i = 0; i < 3; i++) {
    expect(await connections.sweep((name) => name === userOf("agents"))).toBe(2);
    await using os = await over(one);
    expect((await os.sys.uname()).node).toBe("n1");
    // The neighbour's line is back too before both are cut again.
    await (await whenOpen(two, "/n2")).close();
  }
  await system.close();
}, 60_000);

test("a kernel that was killed leaves no agent waiting, and its neighbour's go on", async () => {
  const orphan = await whenOpen(one);
  await using other = await whenOpen(two, "/n2");
  const { pid } = other;
  await one.kill();
  // Nobody answers: the server is there, and the kernel is not.
  const call = orphan.sys.uname();
  call.catch(() => undefined);
  one = await start(1);
  await expect(call).rejects.toThrow(ConnectionError);
  await (await whenOpen(one)).close();
  expect((await other.sys.uname()).node).toBe("n2");
  expect(other.pid).toBe(pid);
}, 60_000);

test("without the system account who is revoked is not heard any more", async () => {
  await Promise.all([one.stop(), two.stop(), server.stop()]);
  await server.start(false);
  one = await start(1);
  await using local = await connect({ address: one.address, token: one.token });
  await local.principals.add("alice");
  const { key, id } = await local.principals.addKey("alice");
  await (await whenOpen(one)).close();
  const tls = { ca: server.ca };
  const agent = await plainNats({ name: "nats", address: server.url, token: key, tls }, "plain");
  expect(await agent.call("uname")).toBe("ok");
  await local.principals.revokeKey(id);
  await expect(agent.call("ctxCreate", {})).rejects.toThrow(/timeout/i);
  expect(agent.nc.isClosed()).toBe(false);
  expect(
    (await local.ctx.list({ all: true })).filter(({ principal }) => principal === "alice"),
  ).toEqual([]);
  await agent.nc.close();
}, 60_000);
