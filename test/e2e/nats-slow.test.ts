/** A slow line between a kernel and its NATS server: it trickles, fills up, and is cut in mid-frame. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type Os, SyscallError } from "../../syscalls/index.js";
import {
  type GivenServer,
  givenServer,
  type HomeKernel,
  kernelAt,
} from "../support/nats-server.js";
import { type SlowProxy, slowProxy } from "../support/slow-proxy.js";
import { Traffic } from "../support/traffic.js";

const SLOW = { latencyMs: 200, bytesPerSecond: 2_000 };

let server: GivenServer;
let line: SlowProxy;
let kernel: HomeKernel;

beforeAll(async () => {
  server = await givenServer(1);
  await server.start();
  line = await slowProxy(Number(new URL(server.url).port));
  const nats = ["--nats", `tls://127.0.0.1:${line.port}`, "--nats-ca", server.caFile];
  kernel = await kernelAt(server.homes[0] ?? "", [...nats, "--detach-grace-ms", "120000"]);
});
afterAll(async () => {
  await kernel?.stop();
  await line?.[Symbol.asyncDispose]();
  await server?.close();
});

/** An agent whose own line to the server is a good one. */
function agent(): Promise<Os> {
  const { url: address, ca } = server;
  return connect({ address, ca, token: kernel.token, timeoutMs: 60_000 });
}

function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

test("local work is not held up, what was acknowledged happened once, and memory is bounded", async () => {
  await using local = await connect({ address: kernel.address, token: kernel.token });
  const agents = await Promise.all([agent(), agent()]);
  const traffic = new Traffic(local, agents);
  await traffic.progress(5);

  // A trickle: each call takes half a second and more; each is answered.
  line.pace(SLOW);
  const atFirst = traffic.localCalls;
  await traffic.progress(2);
  expect(traffic.localCalls - atFirst).toBeGreaterThan(200);

  // More than the line takes: it is refused while the kernel holds little, and goes on locally.
  const { daemonPid } = await local.sys.uname();
  const before = residentMiB(daemonPid);
  const megabyte = "x".repeat(1 << 20);
  const refusals = new Set<string>();
  let published = 0;
  for (; published < 64 && refusals.size === 0; published++) {
    await local.ipc.publish("news.x", megabyte, { scope: "all" }).catch((error: unknown) => {
      refusals.add(error instanceof SyscallError ? error.code : String(error));
    });
  }
  expect([...refusals]).toEqual(["EAGAIN"]);
  expect(residentMiB(daemonPid) - before).toBeLessThan(128);
  await traffic.localProgress();

  // Half a frame is under way: it is cut there, and cut again while the lines come back slowly.
  expect(line.held).toBeGreaterThan(0);
  line.cut();
  await traffic.localProgress();
  line.pace(undefined);
  line.cut();
  await traffic.progress(5);
  await traffic.end();
  await Promise.all(agents.map((os) => os.close()));
}, 120_000);
