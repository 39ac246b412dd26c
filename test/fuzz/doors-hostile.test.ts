/** Strangers by the thousand, messages beyond all measure, readers that do not read: others are served. */
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect as connectPlain, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditDirectory, auditFile } from "../../kernel/cap/audit/files.js";
import { GATE_LIMITS } from "../../kernel/doors/gate.js";
import { ClientFrame, Syscall } from "../../proto/gen/contix/v1/kernel.js";
import { DoorClient } from "../support/door-client.js";
import { type Doors, startDoors } from "../support/doors.js";
import { until } from "../support/kernels.js";
import { dial, framed, RawGrpc } from "../support/raw-grpc.js";

const GIB = 2 ** 30;
/** What its memory may grow by, bytes: a garbage collector's slack, and far below what is sent. */
const SLACK = 192 << 20;
const RESOURCE_EXHAUSTED = 8;
/** Strangers at each door: with `CONTIX_FUZZ_RUNS`, as in test:long, as many as a real flood. */
const STRANGERS = process.env.CONTIX_FUZZ_RUNS === undefined ? 1_500 : 10_000;
/** What the kernel's books call them. */
const DOORS: Readonly<Record<string, string>> = { unix: "unix", tls: "grpcs" };
/** So many at once: the operating system keeps 511 that were not accepted yet, and forgets more. */
const WAVE = 250;

let all: Doors;
let other: DoorClient;
beforeAll(async () => {
  all = await startDoors();
  other = await DoorClient.open(all.door("unix"));
}, 120_000);
afterAll(async () => {
  await other?.close();
  await all?.[Symbol.asyncDispose]();
});

function residentBytes(): number {
  const status = readFileSync(`/proc/${all.kernel.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

describe.each(["unix", "tls"])("the %s door", (name) => {
  test(`bears ${STRANGERS} connections that never say who they are`, {
    timeout: 120_000,
  }, async () => {
    const before = residentBytes();
    const files = (): number => readdirSync(`/proc/${all.kernel.pid}/fd`).length;
    const filesBefore = files();
    const open = new Set<Socket>();
    let most = 0;
    for (let made = 0; made < STRANGERS; made += WAVE) {
      const met: Promise<unknown>[] = [];
      for (let i = 0; i < WAVE; i++) {
        // Of TLS they have not even shaken hands: bare TCP.
        const { address } = all.door(name);
        const socket =
          name === "tls"
            ? connectPlain(Number(address.split(":").at(-1)), "127.0.0.1")
            : dial(all.door(name));
        open.add(socket);
        socket.on("error", () => undefined);
        socket.once("close", () => open.delete(socket));
        // What the door says first must be read, or its end is not seen.
        socket.resume();
        met.push(new Promise((resolve) => socket.once("connect", resolve).once("close", resolve)));
        if (i % 2 === 0) socket.write("PRI * HTTP/2.0\r\n");
      }
      await Promise.all(met);
      await other.ok("uname");
      most = Math.max(most, files() - filesBefore);
    }
    // The oldest made room for the next: the last ones stay, for their seconds.
    await until(() => files() - filesBefore <= GATE_LIMITS.strangers + 8);
    const late = await DoorClient.open(all.door(name));
    await late.ok("uname");
    await late.close();
    expect(most).toBeLessThanOrEqual(GATE_LIMITS.crowd + 2 * WAVE);
    expect(residentBytes() - before).toBeLessThan(SLACK);
    for (const socket of open) socket.destroy();
  });

  test("refuses a message of 1 GiB by its header, before its bytes", async () => {
    const before = residentBytes();
    const raw = new RawGrpc(all.door(name));
    await raw.attach(all.door(name).token);
    const stream = raw.open();
    stream.write(framed(Buffer.alloc(0), GIB));
    const { status, sent } = await raw.flood(stream, GIB);
    expect(status).toBe(RESOURCE_EXHAUSTED);
    expect(sent).toBeLessThan(GIB / 8);
    await other.ok("uname");
    expect(residentBytes() - before).toBeLessThan(SLACK);
    raw.close();
  });

  test("does not unpack 1 MB to 1 GiB", async () => {
    const before = residentBytes();
    const raw = new RawGrpc(all.door(name));
    await raw.attach(all.door(name).token);
    const stream = raw.open({ "grpc-encoding": "gzip" });
    // A thousand members of gzip are one stream of their contents in a row.
    const packed = Buffer.concat(Array(1024).fill(gzipSync(Buffer.alloc(1 << 20))));
    stream.write(framed(packed, packed.length, true));
    const { status } = await raw.flood(stream, 0);
    expect(status).toBe(RESOURCE_EXHAUSTED);
    await other.ok("uname");
    expect(residentBytes() - before).toBeLessThan(SLACK);
    raw.close();
  });

  test("holds little for a reader that gives endless credit and does not read", async () => {
    const before = residentBytes();
    const raw = new RawGrpc(all.door(name));
    const stream = await raw.attach(all.door(name).token);
    stream.pause();
    for (let seq = 1n; seq <= 200n; seq++) {
      const input = { $case: "prompt" as const, value: "go on" };
      const value = { input, maxTokens: 1500, ignoreEos: true, stream: true };
      const call = { $case: "generate" as const, value };
      const frame = Syscall.fromPartial({ seq, credit: 2 ** 32 - 1, call } as Partial<Syscall>);
      stream.write(framed(ClientFrame.encode({ frame: { $case: "call", value: frame } }).finish()));
    }
    await until(async () => (await other.ok("stats")).queued > 0);
    await other.ok("generate", { input: { $case: "prompt", value: "me too" }, maxTokens: 3 });
    expect(residentBytes() - before).toBeLessThan(SLACK);
    raw.close();
    await until(async () => (await other.ok("stats")).queued === 0);
  });

  test("a stranger may not send a megabyte", async () => {
    const book = async () =>
      (await other.ok("stats")).door.find(({ door }) => door === DOORS[name]);
    const before = await book();
    const raw = new RawGrpc(all.door(name));
    const stream = raw.open();
    stream.write(framed(Buffer.alloc(0), 20 << 20));
    // The kernel's books say that it cut: Node's own client does not always notice under TLS.
    const cut = raw.flood(stream, 20 << 20);
    let came = 0;
    await until(async () => {
      const now = await book();
      came = Number(now?.bytesIn) - Number(before?.bytesIn);
      return Number(now?.refused) > Number(before?.refused) && came > GATE_LIMITS.strangerBytes;
    });
    expect(came).toBeLessThan(20 << 20);
    if (name === "unix") expect((await cut).status).toBeUndefined();
    raw.close();
  });
});

test.each(["unix", "nats"])(
  "a crowd that comes to the %s door at once is let in",
  {
    timeout: 60_000,
  },
  async (name) => {
    // More than there may be strangers who had their chance, and less than the processes of one.
    const coming = Array.from({ length: 300 }, () => DoorClient.open(all.door(name)));
    const come = await Promise.allSettled(coming);
    const refused = come.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
    await Promise.all(come.map((one) => one.status === "fulfilled" && one.value.close()));
    expect(refused).toEqual([]);
    const book = async () => (await other.ok("stats")).door.find((one) => one.door === name);
    await until(async () => ((await book())?.connections ?? 300) < 300);
    expect(await book()).toMatchObject({ strangers: 0 });
    expect(Number((await book())?.attached)).toBeGreaterThanOrEqual(300);
    expect(Number((await book())?.bytesOut)).toBeGreaterThan(300 * 20);
  },
);

test("the NATS door cuts who announces a message of 1 GiB", async () => {
  const { address, token } = all.door("nats");
  const socket = connectPlain(Number(address.split(":").at(-1)), "127.0.0.1");
  let said = "";
  socket.on("error", () => undefined);
  socket.on("data", (bytes) => {
    said += bytes;
  });
  const user = `big-${"x".repeat(24)}`;
  socket.write(`CONNECT ${JSON.stringify({ user, pass: token, verbose: false })}\r\nPING\r\n`);
  await until(() => said.includes("PONG"));
  socket.write(`PUB ctx.n1.1.req.${user}.frame ${GIB}\r\n`);
  await once(socket, "close");
  await other.ok("uname");
});

test.each(["unix", "tls"])(
  "a connection to the %s door ends with its key, whether anybody lives by it or not",
  async (name) => {
    await using os = await all.kernel.connect();
    const { key, id } = await os.principals.addKey("admin");
    const [idle, living] = [new RawGrpc(all.door(name)), new RawGrpc(all.door(name))];
    const stream = await idle.attach(key);
    const attached = await living.attach(key);
    attached.resume();
    stream.resume();
    stream.end();
    await once(stream, "close");
    const closed = [once(idle.session, "close"), once(living.session, "close")];
    await os.principals.revokeKey(id);
    await Promise.all(closed);
  },
);

describe.each(["unix", "tls", "nats"])("through the %s door", (name) => {
  test("a name used twice for different calls is EEXIST, and audited", async () => {
    const os = await DoorClient.open(all.door(name));
    const { pid } = os.welcome;
    const seq = os.call("send", { pid, body: Buffer.from("one") });
    await os.reply(seq);
    const from = os.received.length;
    os.call("send", { pid, body: Buffer.from("two") }, { seq });
    expect(await os.errorOf(seq, from)).toBe("EEXIST");
    const log = auditFile(auditDirectory(all.kernel.home), 1);
    const audited = (): boolean =>
      readFileSync(log, "utf8")
        .split("\n")
        .some((line) => line.includes("EEXIST") && line.includes(`n1.${pid & 0xffffffn}"`));
    await until(audited);
    await os.close();
  });

  test("a schedule that can never fire is EINVAL", async () => {
    const os = await DoorClient.open(all.door(name));
    for (const cron of ["0 0 30 2 *", "0 0 0 1 1 * 2020", "nonsense"]) {
      expect(await os.ask("schedule", { name: "never", cron, inbox: true })).toBe("EINVAL");
    }
    expect((await os.ok("scheduleList")).schedules).toEqual([]);
    await os.close();
  });
});
