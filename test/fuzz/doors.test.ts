/** Malformed frames through every door: the kernel lives, and others are served. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientFrame, Syscall } from "../../proto/gen/contix/v1/kernel.js";
import { DoorClient } from "../support/door-client.js";
import { type Doors, startDoors } from "../support/doors.js";
import { until } from "../support/kernels.js";

/** Frames through each door: 100 for each run of `CONTIX_FUZZ_RUNS`. */
const RUNS = 100 * Number(process.env.CONTIX_FUZZ_RUNS ?? 3);
const SEED = Number(process.env.CONTIX_FUZZ_SEED ?? Date.now() % 2 ** 31);

/** What the kernel's memory may grow by after a tenth of the frames, bytes; a leak of a kilobyte a frame is more. */
const SLACK = 80 << 20;

let all: Doors;
/** Whose frames they are: a principal of its own, without processes, so that nothing is run by chance. */
let mallory: string;
beforeAll(async () => {
  all = await startDoors();
  await using os = await all.kernel.connect();
  await os.principals.add("mallory");
  const scopes = ["sys", "llm", "ctx", "ipc", "time", "cap", "ask"];
  mallory = (await os.principals.addKey("mallory", { scopes })).key;
}, 120_000);
afterAll(() => all?.[Symbol.asyncDispose]());

const GOOD = [
  { call: { $case: "uname" as const, value: {} } },
  { call: { $case: "ctxStat" as const, value: { cid: 5n } } },
  { call: { $case: "send" as const, value: { pid: 3n, body: Buffer.from("words"), topic: "t" } } },
  { call: { $case: "tokenize" as const, value: { text: "some text to break" } } },
].map((body, i) => {
  const value = Syscall.fromPartial({ seq: BigInt(i + 1), ...body } as Partial<Syscall>);
  return ClientFrame.encode({ frame: { $case: "call", value } }).finish();
});

/** Length-delimited fields in one another; layers stand before each other, so all depths are one buffer's ends. */
const [NEST, DEPTHS] = nest(3000);
function nest(depth: number): [Uint8Array, readonly number[]] {
  const layers: number[][] = [];
  const lengths = [0];
  for (let length = 0; layers.length < depth; lengths.push(length)) {
    const head = length < 128 ? [0x12, length] : [0x12, (length & 0x7f) | 0x80, length >> 7];
    layers.unshift(head);
    length += head.length;
  }
  return [Uint8Array.from(layers.flat()), lengths];
}
function nested(depth: number): Uint8Array {
  return NEST.slice(NEST.length - (DEPTHS[depth] ?? 0));
}

/** A good frame of which one field has another wire type than it should have. */
function mistyped(bytes: Uint8Array, n: number): Uint8Array {
  const wrong = Uint8Array.from(bytes);
  // Tags stand at the start of the frame, of the call in it, and of the call's arguments.
  const at = [0, 2, 4][n % 3] ?? 0;
  const tag = wrong[at] ?? 0;
  wrong[at] = (tag & ~7) | ((tag + 1 + (n % 7)) & 7);
  return wrong;
}

const good = fc.constantFrom(...GOOD);
const frame = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.tuple(good, fc.nat(200)).map(([bytes, n]) => bytes.slice(0, n % bytes.length)),
  fc.tuple(good, fc.nat(10_000)).map(([bytes, bit]) => {
    const flipped = Uint8Array.from(bytes);
    const at = (bit >> 3) % flipped.length;
    flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
    return flipped;
  }),
  fc.tuple(good, fc.nat(1000)).map(([bytes, n]) => mistyped(bytes, n)),
  fc.nat(3000).map(nested),
  fc.nat(100_000).map((n) => Buffer.alloc(n, 0x0a)),
);

function residentBytes(): number {
  const status = readFileSync(`/proc/${all.kernel.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

describe.each(["unix", "tls", "nats"])("the %s door", (name) => {
  test(`lives through ${RUNS} malformed frames, seed ${SEED}`, { timeout: 3_600_000 }, async () => {
    const door = all.doors.find((one) => one.name === name);
    if (door === undefined) throw new Error(`there is no ${name} door`);
    const other = await DoorClient.open(door);
    const hers = { ...door, token: mallory };
    let os = await DoorClient.open(hers);
    let sent = 0;
    let warm = 0;
    await fc.assert(
      fc.asyncProperty(frame, async (bytes) => {
        os.sendBytes(bytes);
        sent++;
        if (sent % 50 !== 0) return;
        // What a mutated call may do is end its own process; never another's service.
        await other.ok("uname");
        os.cut();
        os = await DoorClient.open(hers);
        if (sent <= RUNS / 10) warm = residentBytes();
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: true },
    );
    expect(sent).toBe(RUNS);
    await os.close();
    await other.ok("uname");
    if (warm > 0) expect(residentBytes() - warm).toBeLessThan(SLACK);
    // Nothing that she began is left.
    await until(async () => {
      const { procs } = await other.ok("ps");
      return !procs.some(({ principal }) => principal === "mallory");
    });
    await other.close();
  });
});
