import { readFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectNats } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditDirectory, auditFile } from "../../kernel/cap/audit/files.js";
import { Hello, Syscall } from "../../proto/gen/contix/v1/kernel.js";
import { connect } from "../../syscalls/index.js";
import { DoorClient } from "../support/door-client.js";
import { type Doors, startDoors } from "../support/doors.js";
import { until } from "../support/kernels.js";
import { plainNats } from "../support/nats-client.js";

let all: Doors;
beforeAll(async () => {
  all = await startDoors();
}, 120_000);
afterAll(() => all?.[Symbol.asyncDispose]());

describe("the TLS door", () => {
  test("a certificate that the client does not trust is said to be that", async () => {
    const { address, token } = all.door("tls");
    await expect(connect({ address, token })).rejects.toThrow(/TLS with grpcs:.*certificate/i);
  });

  test("strangers are few and send little; others are served meanwhile", async () => {
    const { address } = all.door("tls");
    const port = Number(address.split(":").at(-1));
    let closed = 0;
    const sockets: Socket[] = [];
    for (let i = 0; i < 400; i++) {
      const socket = createConnection(port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.once("close", () => closed++);
      sockets.push(socket);
    }
    // 256 may stay; each further one costs the oldest its place.
    await until(() => closed >= 400 - 256);
    const os = await DoorClient.open(all.door("tls"));
    await os.ok("uname");
    for (const socket of sockets) socket.destroy();
    await os.close();
  });

  test("a hello of 30 MB is cut off", async () => {
    const huge = DoorClient.open(all.door("unix"), { name: "x".repeat(30 << 20) }, 500);
    await expect(huge).rejects.toThrow();
    const os = await DoorClient.open(all.door("unix"));
    await os.ok("uname");
    await os.close();
  });
});

/** Resident memory of a process. */
function rssMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/** Whether the audit log holds such a line. */
function audited(call: string, result: string, reason: string): boolean {
  const lines = readFileSync(auditFile(auditDirectory(all.kernel.home), 1), "utf8").split("\n");
  return lines.some((line) => {
    const said = line === "" ? {} : JSON.parse(line);
    return said.call === call && said.result === result && String(said.reason).includes(reason);
  });
}

const plain = (name: string) => plainNats(all.door("nats"), name);
const uname = (seq: bigint) =>
  Syscall.encode(Syscall.fromPartial({ seq, call: { $case: "uname", value: {} } })).finish();

describe("the NATS door", () => {
  test("calls are plain requests, too, and the kernel answers nobody's inbox but the caller's", async () => {
    const one = await plain("one");
    const two = await plain("two");
    expect((await one.nc.request(`${one.subject}.call`, uname(1n))).data.length).toBeGreaterThan(9);
    let stolen = 0;
    two.nc.subscribe(`_INBOX.${two.id}.mine`, { callback: () => void stolen++ });
    await two.nc.flush();
    one.nc.publish(`${one.subject}.call`, uname(2n), { reply: `_INBOX.${two.id}.mine` });
    // The same connection's next answer comes after what the first would have caused.
    await one.nc.request(`${one.subject}.call`, uname(3n));
    await two.nc.flush();
    expect(stolen).toBe(0);
    await until(() => audited("nats", "EPERM", "the reply subject is not in your own inbox"));
    await Promise.all([one.nc.close(), two.nc.close()]);
  });

  test("a request by another's door id is counted and audited; one that is late is not", async () => {
    const [one, two] = [await plain("forger"), await plain("forged")];
    // The server lets nobody do this but who has the kernel's own credentials.
    const secrets = readFileSync(join(all.kernel.home, "nats", "secrets.json"), "utf8");
    const pass = JSON.parse(secrets).agents;
    const servers = all.door("nats").address;
    const inside = await connectNats({ servers, user: "contix-agents", pass, reconnect: false });
    const os = await DoorClient.open(all.door("unix"));
    const denied = async () => {
      const { door: books } = await os.ok("stats");
      return Number(books.find((book) => book.door === "nats")?.denied);
    };
    const before = await denied();
    const [own, nobodys] = [one.subject.replace(one.id, two.id), `nobody-${"x".repeat(24)}`];
    inside.publish(`${own}.call`, uname(1n));
    inside.publish(`${one.subject.replace(one.id, nobodys)}.call`, uname(1n));
    await until(async () => (await denied()) === before + 2);
    await until(() => audited("nats", "EPERM", `at the door ${two.id}: no such process`));
    await until(() => audited("nats", "EPERM", `at the door ${nobodys}: no such process`));
    await one.nc.request(`${one.subject}.bye`, undefined).catch(() => undefined);
    await until(async () => {
      const { procs } = await os.ok("ps");
      return procs.every(({ pid }) => pid !== one.welcome.pid);
    });
    inside.publish(`${one.subject}.call`, uname(1n));
    await two.call("uname");
    await inside.flush();
    await two.call("uname");
    expect(await denied()).toBe(before + 2);
    await Promise.all([one.nc.close(), two.nc.close(), inside.close(), os.close()]);
  });

  test("a client may neither speak for another nor listen to him", async () => {
    const one = await plain("eins");
    const two = await plain("zwei");
    const { refused } = one;
    one.nc.publish(`${two.subject}.call`, uname(1n));
    one.nc.subscribe(`_INBOX.${two.id}.>`, { callback: () => undefined });
    one.nc.subscribe(">", { callback: () => undefined });
    await one.nc.flush();
    await until(() => refused.filter((line) => /permission/i.test(line)).length >= 3);
    await Promise.all([one.nc.close(), two.nc.close()]);
  });

  test("a door id that is in use does not open twice", async () => {
    const one = await plain("twice");
    await expect(plain("twice")).rejects.toThrow(/authorization/i);
    await until(() => audited("attach", "EACCES", `the door id ${one.id} is in use`));
    await one.nc.close();
  });

  test("a hello that may not be attached hears why", async () => {
    const hello = Hello.fromPartial({ abi: 9 });
    await expect(DoorClient.open(all.door("nats"), hello)).rejects.toMatchObject({
      code: "EPROTO",
    });
  });

  test("10,000 who never say who they are, and 1,000 with forged tokens, are sent away; who is known goes on", async () => {
    const port = Number(all.door("nats").address.split(":").at(-1));
    const os = await DoorClient.open(all.door("nats"));
    const before = rssMiB(all.kernel.pid);
    const refused = async (): Promise<number> => {
      const { door: books } = await os.ok("stats");
      return Number(books.find((book) => book.door === "nats")?.refused);
    };
    const turnedAway = await refused();
    let [open, calls] = [0, 0];
    /** One that says what it is told to once it is greeted, and is over when it is sent away. */
    const stranger = (say: string): void => {
      open++;
      const socket = createConnection(port, "127.0.0.1");
      if (say !== "") socket.once("data", () => socket.write(say));
      socket.resume();
      socket.on("error", () => undefined);
      socket.once("close", () => open--);
    };
    for (let i = 0; i < 10_000; i++) {
      const user = `${i}`.padStart(24, "x");
      const forged = JSON.stringify({ user, pass: `ck_${user}`, verbose: false, protocol: 1 });
      stranger("");
      if (i % 10 === 0) stranger(`CONNECT ${forged}\r\nPING\r\n`);
      if (i % 250 === 0) await os.ok("uname");
    }
    // The server has them wait for 5 s at most; it takes 4,096 at once.
    for (; open > 0; calls++) await os.ok("uname");
    expect(calls).toBeGreaterThan(20);
    // Who spoke was looked at by the kernel, as far as the server had room for him.
    expect((await refused()) - turnedAway).toBeGreaterThan(100);
    expect(rssMiB(all.kernel.pid) - before).toBeLessThan(64);
    await (await plain("after")).nc.close();
    await os.close();
  }, 60_000);

  test("while the server is killed local work goes on, and its clients resume on the next", async () => {
    const local = await DoorClient.open(all.door("unix"));
    const os = await DoorClient.open(all.door("nats"));
    const { pid, run, resumeToken } = os.welcome;
    const server = Number(readFileSync(join(all.kernel.home, "nats/server.pid"), "utf8"));
    process.kill(server, "SIGKILL");
    await os.over();
    await local.ok("uname");
    const again = await DoorClient.open(all.door("nats"), { token: "", pid, run, resumeToken });
    expect(again.welcome).toMatchObject({ pid, run });
    await again.ok("uname");
    await Promise.all([again.close(), local.close()]);
  });
});
