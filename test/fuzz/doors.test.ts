/** Malformed frames through every door: the kernel lives, and others are served. */
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEEPEST, flipped, GOOD_FRAMES, mistyped, nested } from "../../bench/harness/bad-frames.js";
import { SyscallError } from "../../syscalls/index.js";
import { type Door, DoorClient } from "../support/door-client.js";
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
  // All of them are to be taken, and not only as many as she may send.
  await os.principals.add("mallory", { quota: { faultsPerSecond: 0 } });
  const scopes = ["sys", "llm", "ctx", "ipc", "time", "cap", "ask"];
  mallory = (await os.principals.addKey("mallory", { scopes })).key;
}, 120_000);
afterAll(() => all?.[Symbol.asyncDispose]());

const good = fc.constantFrom(...GOOD_FRAMES);
const frame = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.tuple(good, fc.nat(200)).map(([bytes, n]) => bytes.slice(0, n % bytes.length)),
  fc.tuple(good, fc.nat(10_000)).map(([bytes, bit]) => flipped(bytes, bit)),
  fc.tuple(good, fc.nat(1000)).map(([bytes, n]) => mistyped(bytes, n)),
  fc.nat(DEEPEST).map(nested),
  fc.nat(100_000).map((n) => Buffer.alloc(n, 0x0a)),
);

/** A process of hers more: those that were cut off live on for a while, and she may have so many. */
async function opened(door: Door): Promise<DoorClient> {
  for (;;) {
    try {
      return await DoorClient.open(door);
    } catch (error) {
      if (!(error instanceof SyscallError) || error.code !== "EAGAIN") throw error;
      await setTimeout(error.retryAfterMs);
    }
  }
}

function residentBytes(): number {
  const status = readFileSync(`/proc/${all.kernel.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

describe.each(["unix", "tls", "nats"])("the %s door", (name) => {
  test(`lives through ${RUNS} malformed frames, seed ${SEED}`, { timeout: 3_600_000 }, async () => {
    const door = all.door(name);
    const other = await DoorClient.open(door);
    const hers = { ...door, token: mallory };
    let os = await opened(hers);
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
        os = await opened(hers);
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
