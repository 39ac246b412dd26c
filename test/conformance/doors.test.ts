import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SYSCALLS } from "../../kernel/table.js";
import { DoorClient } from "../support/door-client.js";
import { type Doors, startDoors } from "../support/doors.js";
import { CALLS } from "./doors/calls.js";
import { CAPS, PRINCIPALS, QUESTIONS } from "./doors/cap.js";
import { ERRORS } from "./doors/errors.js";
import { MAIL, SYNC } from "./doors/ipc.js";
import { CONTEXTS, PROCS, SYS, TIME } from "./doors/rest.js";
import { STREAMS } from "./doors/streams.js";

const RIGHTS_CASES = [...CAPS, ...QUESTIONS, ...PRINCIPALS];
const CASES = [
  ...[...CALLS, ...STREAMS, ...ERRORS, ...MAIL, ...SYNC],
  ...[...RIGHTS_CASES, ...TIME, ...SYS, ...PROCS, ...CONTEXTS],
];
const NAMES = ["unix", "tls", "nats"];

let all: Doors;
beforeAll(async () => {
  all = await startDoors();
}, 120_000);
afterAll(() => all?.[Symbol.asyncDispose]());

test("there are enough of them, and every row of the syscall table has one that succeeds", () => {
  const names = CASES.map(([name]) => name);
  expect(names.length).toBeGreaterThanOrEqual(150);
  expect(new Set(names).size).toBe(names.length);
  // A case that ends in an errno is of a failure.
  const said = new Set(
    names
      .filter((name) => !/: E[A-Z]+$/.test(name))
      .join(" ")
      .split(/[\s,]+/),
  );
  const missing = Object.values(SYSCALLS).filter(({ name }) => !said.has(name));
  expect(missing.map(({ name }) => name)).toEqual([]);
});

describe.each(NAMES)("the %s door", (name) => {
  test.each(CASES)("%s", async (_name, act) => {
    const door = all.door(name);
    const os = await DoorClient.open(door);
    try {
      await act(os, door);
    } finally {
      await os.close();
    }
  });
});
