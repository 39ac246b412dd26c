/**
 * Law 4, for every row of the table that changes something: a call whose reply was lost is
 * asked again, by its name, after the run was resumed on another connection. The reply is
 * the first one, byte for byte; whatever lists can show is as it was; it happened once.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditDirectory, auditFile } from "../../kernel/cap/audit/files.js";
import type { CallName } from "../../kernel/table.js";
import { Reply } from "../../proto/gen/contix/v1/kernel.js";
import { showId } from "../../syscalls/ids.js";
import { startTestKernel, type TestKernel } from "../../syscalls/testing.js";
import { DoorClient } from "../support/door-client.js";
import { until } from "../support/kernels.js";
import { type Made, NOT_PURE, SCENARIOS, type Scenario, type World } from "./law4.js";

let kernel: TestKernel;
const friends: DoorClient[] = [];
let names = 0;
const world: World = {
  get door() {
    return { name: "unix", address: kernel.address, token: kernel.token, tls: {} };
  },
  name: () => `thing-${++names}`,
  async friend() {
    const friend = await DoorClient.open(world.door, { name: "friend" });
    friends.push(friend);
    return friend;
  },
};

beforeAll(async () => {
  kernel = await startTestKernel({ slotTokens: 512 });
});
afterAll(async () => {
  for (const friend of friends) friend.cut();
  await kernel?.stop();
});

test("there is a call for every row that is not pure, and for no other", () => {
  expect(Object.keys(SCENARIOS).sort()).toEqual([...NOT_PURE].sort());
});

const LISTS = [
  ...(["ctxList", "ipcList", "scheduleList", "capList"] as const),
  ...(["principalList", "keyList", "ps"] as const),
];
/** Above every seq of a run that is resumed. */
let looks = 1_000_000n;

/** All that lists show, but for what passes by itself: times, counters. */
async function shown(os: DoorClient): Promise<string> {
  const lists = await Promise.all(LISTS.map((name) => os.ok(name, {}, { seq: ++looks })));
  const passing = /us$|age|idle|state|waiting|slot|osPid|syscalls|resident|swapped|processes/i;
  return JSON.stringify(lists, (name, value: unknown) => {
    if (passing.test(name)) return undefined;
    return typeof value === "bigint" ? String(value) : value;
  });
}

function begin(os: DoorClient, name: CallName, { args, handle = 0 }: Made, seq?: bigint): bigint {
  return os.call(name, args, { handle, ...(seq !== undefined && { seq }) });
}

/** The run again, on another connection. */
function resumed({ welcome: { pid, run, resumeToken } }: DoorClient): Promise<DoorClient> {
  return DoorClient.open(world.door, { token: "", pid, run, resumeToken });
}

/** How often the audit has the call of that name. */
function audited(pid: bigint, seq: bigint): number {
  const lines = readFileSync(auditFile(auditDirectory(kernel.home), 1), "utf8").split("\n");
  return lines
    .filter((line) => line.includes('"call"'))
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    .filter((entry) => entry.pid === showId(pid) && String(entry.seq) === String(seq)).length;
}

const ROWS = NOT_PURE.map((name) => [name, SCENARIOS[name]] as const);

describe.each(ROWS)("%s", (name, prepare) => {
  const made = async (os: DoorClient): Promise<Made> => (prepare as Scenario)(os, world);

  test("asked again after it was answered gives the first reply, and changes nothing", async () => {
    const os = await DoorClient.open(world.door);
    const call = await made(os);
    const seq = begin(os, name, call);
    const first = await os.reply(seq);
    expect(first.result?.$case, os.outcome(first) as string).toBe(name);
    if (call.ends) {
      await expect(resumed(os)).rejects.toThrow();
      return;
    }
    const again = await resumed(os);
    const before = await shown(again);
    begin(again, name, call, seq);
    const second = await again.reply(seq);
    expect(Reply.encode(second).finish()).toEqual(Reply.encode(first).finish());
    expect(await shown(again)).toBe(before);
    expect(audited(os.welcome.pid, seq)).toBe(1);
    await again.close();
  });

  test("cut off before its answer and asked again happens once", async () => {
    const os = await DoorClient.open(world.door);
    const call = await made(os);
    if (call.ends) return;
    const seq = begin(os, name, call);
    // Whether the call came through before the cut is not known here, nor to an agent.
    const again = await resumed(os);
    begin(again, name, call, seq);
    const reply = await again.reply(seq);
    expect(reply.result?.$case, again.outcome(reply) as string).toBe(name);
    await until(() => audited(os.welcome.pid, seq) > 0);
    expect(audited(os.welcome.pid, seq)).toBe(1);
    await again.close();
  });
});
