/** Who sends what says nothing is read as slowly as he may send it, by every door; others are served. */
import { readFileSync } from "node:fs";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditDirectory, auditFile } from "../../kernel/cap/audit/files.js";
import { KernelService, Syscall } from "../../proto/gen/contix/v1/kernel.js";
import { connect } from "../../syscalls/index.js";
import { type Door, DoorClient } from "../support/door-client.js";
import { type Doors, startDoors } from "../support/doors.js";
import { until } from "../support/kernels.js";
import { plainNats } from "../support/nats-client.js";

/** Of a principal of these tests; ten times as many at once. */
const PER_SECOND = 2;
const BURST = 10 * PER_SECOND;
const BAD = Buffer.from([0xff, 0xff, 0xff]);
/** What its name is in the kernel's figures. */
const BOOKS: Readonly<Record<string, string>> = { unix: "unix", tls: "grpcs", nats: "nats" };

let all: Doors;
let other: DoorClient;
beforeAll(async () => {
  // Who is hung up on comes back in time, however busy the machine is.
  all = await startDoors(["--detach-grace-ms", "120000"]);
  other = await DoorClient.open(all.door("unix"));
}, 120_000);
afterAll(async () => {
  await other?.close();
  await all?.[Symbol.asyncDispose]();
});

/** A way in for a principal of its own, with that quota. */
async function of(name: string, way: string, faultsPerSecond?: number): Promise<Door> {
  await using os = await all.kernel.connect();
  await os.principals.add(
    name,
    faultsPerSecond === undefined ? {} : { quota: { faultsPerSecond } },
  );
  const { key } = await os.principals.addKey(name, { scopes: ["sys", "ipc"] });
  return { ...all.door(way), token: key };
}

async function figures(way: string): Promise<{ faults: number; braked: number }> {
  const { door: books } = await other.ok("stats");
  const book = books.find((one) => one.door === BOOKS[way]);
  return { faults: Number(book?.faults), braked: Number(book?.braked) };
}

function sendBad(client: DoorClient, n: number): void {
  for (let i = 0; i < n; i++) client.sendBytes(BAD);
}

const refusals = (client: DoorClient): number =>
  client.received.filter((frame) => frame.$case === "reply" && frame.value.seq === 0n).length;

describe.each(["unix", "tls", "nats"])("the %s door", (way) => {
  test("does not slow a client down that is wrong now and then", async () => {
    const client = await DoorClient.open(await of(`honest-${way}`, way));
    const before = await figures(way);
    for (let i = 0; i < 50; i++) {
      sendBad(client, 1);
      await client.ok("uname");
    }
    expect(refusals(client)).toBe(50);
    const { faults, braked } = await figures(way);
    expect([faults - before.faults, braked - before.braked]).toEqual([50, 0]);
    await client.close();
  });

  test("does not read on for whoever sends too many, serves others, and takes all of it later, once", async () => {
    const where = await of(`braked-${way}`, way, PER_SECOND);
    const [client, sibling] = [await DoorClient.open(where), await DoorClient.open(where)];
    const before = await figures(way);
    const late = 4;
    sendBad(client, BURST + late);
    const seqs = Array.from({ length: 30 }, (_, i) => {
      return client.call("send", { pid: client.welcome.pid, body: Buffer.from(`${i}`) });
    });
    await until(async () => (await figures(way)).braked > before.braked);
    // Another of its principal's waits for nothing, nor do others.
    await sibling.ok("uname");
    await other.ok("uname");
    for (const seq of seqs)
      expect(client.outcome(await client.reply(seq))).not.toBeTypeOf("string");
    const { faults, braked } = await figures(way);
    expect(faults - before.faults).toBe(BURST + late);
    expect(braked - before.braked).toBeGreaterThanOrEqual(late);
    expect(refusals(client)).toBe(BURST + late);
    // Each was sent once, and in its turn.
    for (const i of seqs.keys()) {
      expect(Buffer.from((await client.ok("recv")).body).toString()).toBe(`${i}`);
    }
    await Promise.all([client.close(), sibling.close()]);
  });
});

describe("the NATS door", () => {
  test("hangs up on whoever sends on, lets him in when his time is over, and loses nothing", async () => {
    const where = await of("flooder", "nats", 1);
    let client = await DoorClient.open(where);
    const { pid, run, resumeToken } = client.welcome;
    const first = client.call("send", { pid, body: Buffer.from("first") });
    sendBad(client, 400);
    const second = client.call("send", { pid, body: Buffer.from("second") });
    await client.over();
    // It is not the end of its run.
    expect(client.ended?.inOrder).toBe(false);
    expect(client.received.at(-1)).toMatchObject({
      value: { result: { value: { name: "EAGAIN", retryAfterUs: expect.any(BigInt) } } },
    });
    // The SDK comes again when it may, and repeats what has no answer.
    client = await DoorClient.open(where, { pid, run, resumeToken }, 60_000);
    expect(client.welcome).toMatchObject({ pid, run });
    for (const [seq, text] of [
      [first, "first"],
      [second, "second"],
    ] as const) {
      client.call("send", { pid, body: Buffer.from(text) }, { seq });
      expect(client.outcome(await client.reply(seq))).not.toBeTypeOf("string");
    }
    const bodies: string[] = [];
    for (const seq of [11n, 12n]) {
      const reply = await client.reply(client.call("recv", {}, { seq }));
      if (reply.result?.$case === "recv") {
        bodies.push(Buffer.from(reply.result.value.body).toString());
      }
    }
    expect(bodies).toEqual(["first", "second"]);
    await client.close();
  });

  test("lets nobody of a principal in that owes, and has that on record once", async () => {
    const where = await of("debtor", "nats", 1);
    const calm = await DoorClient.open(where);
    const refused: unknown[] = [];
    while (refused.length < 3) {
      try {
        const client = await DoorClient.open(where);
        sendBad(client, 400);
        await client.over();
      } catch (error) {
        refused.push(error);
      }
    }
    for (const error of refused) {
      expect(error).toMatchObject({ code: "EAGAIN", retryAfterMs: expect.any(Number) });
      expect(String(error)).toContain("faultsPerSecond, 1");
    }
    // Who is in already is served.
    await calm.ok("uname");
    await until(() => recorded("principal debtor") > 0);
    expect(recorded("principal debtor")).toBe(1);
    await using os = await all.kernel.connect();
    await os.principals.setQuota("debtor", { faultsPerSecond: 1_000_000 });
    const client = await DoorClient.open(where);
    await client.ok("uname");
    await Promise.all([client.close(), calm.close()]);
  });

  test("takes what is wrong as a plain request in its turn, too", async () => {
    const where = await of("plain", "nats", PER_SECOND);
    const client = await plainNats(where, "plain");
    const before = await figures("nats");
    const bad = Array.from({ length: BURST + 2 }, () =>
      client.nc.request(`${client.subject}.call`, BAD, { timeout: 60_000 }),
    );
    await Promise.all(bad);
    expect(await client.call("uname")).toBe("ok");
    const { faults, braked } = await figures("nats");
    expect(faults - before.faults).toBe(BURST + 2);
    expect(braked).toBeGreaterThan(before.braked);
    await client.nc.close();
  });

  test("denies reply subjects that are another's one by one, as fast as he may be wrong, and then hangs up", async () => {
    const foreign = "the reply subject is not in your own inbox";
    const before = recorded(foreign, "EPERM");
    const client = await plainNats(await of("deputy", "nats", 1), "deputy");
    const over = client.nc.closed();
    for (let i = 0; i < 400; i++) {
      client.nc.publish(`${client.subject}.call`, BAD, { reply: "_INBOX.another.mine" });
    }
    await over;
    await until(() => recorded(foreign, "EPERM") >= before + 10);
    // Ten seconds' worth at once, and what came due while they were read.
    expect(recorded(foreign, "EPERM")).toBeLessThan(before + 30);
  });
});

/** How often the audit log has a refusal of that reason; those in a row are one line of it. */
function recorded(reason: string, result = "EAGAIN"): number {
  const lines = readFileSync(auditFile(auditDirectory(all.kernel.home), 1), "utf8").split("\n");
  const found = lines.filter((line) => line.includes(reason) && line.includes(result));
  return found.reduce((sum, line) => sum + (JSON.parse(line).times ?? 1), 0);
}

test("malformed calls outside a stream are answered late, others of theirs at once", async () => {
  const { token } = await of("unary", "unix", PER_SECOND);
  const client = new Client(
    `unix://${all.kernel.address.slice("unix://".length)}`,
    credentials.createInsecure(),
  );
  const ask = (bytes: Buffer, bearer = token): Promise<number> => {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${bearer}`);
    const { path } = KernelService.call;
    return new Promise((resolve) => {
      const over = (error: ServiceError | null): void => resolve(error?.code ?? 0);
      client.makeUnaryRequest(
        path,
        (b: Buffer) => b,
        (b) => b,
        bytes,
        metadata,
        over,
      );
    });
  };
  const before = await figures("unix");
  const bad = Array.from({ length: BURST + 2 }, () => ask(BAD));
  const uname = Syscall.fromPartial({ call: { $case: "uname", value: {} } });
  expect(await ask(Buffer.from(Syscall.encode(uname).finish()))).toBe(0);
  expect(await Promise.all(bad)).toEqual(Array(BURST + 2).fill(3));
  // Of strangers nothing but their key is looked at.
  expect(await ask(BAD, "nobody's")).toBe(16);
  const { faults, braked } = await figures("unix");
  expect(faults - before.faults).toBe(BURST + 2);
  expect(braked - before.braked).toBeGreaterThanOrEqual(1);
  client.close();
});

test("limit and use are told to whoever asks", async () => {
  const { address, token } = await of("told", "unix");
  await using os = await connect({ address, token });
  const told = (await os.sys.limits()).find(({ quota }) => quota === "faultsPerSecond");
  expect(told).toEqual({ quota: "faultsPerSecond", of: "principal", limit: 20, used: 0 });
});
