import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DoorClient } from "../support/door-client.js";
import { type Doors, startDoors } from "../support/doors.js";
import { CALLS } from "./doors/calls.js";
import { ERRORS } from "./doors/errors.js";
import { STREAMS } from "./doors/streams.js";

const CASES = [...CALLS, ...STREAMS, ...ERRORS];
const NAMES = ["unix", "tls", "nats"];

let all: Doors;
beforeAll(async () => {
  all = await startDoors();
}, 120_000);
afterAll(() => all?.[Symbol.asyncDispose]());

test("there are enough of them", () => {
  expect(CASES.length * NAMES.length).toBeGreaterThanOrEqual(150);
  expect(new Set(CASES.map(([name]) => name)).size).toBe(CASES.length);
});

describe.each(NAMES)("the %s door", (name) => {
  test.each(CASES)("%s", async (_name, act) => {
    const door = all.doors.find((one) => one.name === name);
    if (door === undefined) throw new Error(`there is no ${name} door`);
    const os = await DoorClient.open(door);
    try {
      await act(os, door);
    } finally {
      await os.close();
    }
  });
});
