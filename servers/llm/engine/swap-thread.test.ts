/** A thread that may be lost at any moment: what it had to do fails, and nothing else. */
import { Worker } from "node:worker_threads";
import { afterEach, expect, test } from "vitest";
import type { Job } from "./swap-protocol.js";
import { SwapThread } from "./swap-thread.js";

/** Does what the block's number says: answers, throws, exits. */
const WORKER = `
  const { parentPort } = require("node:worker_threads");
  parentPort.on("message", ({ moves }) => {
    if (moves[0].block === 1) throw new Error("out of luck");
    if (moves[0].block === 2) process.exit(3);
    parentPort.postMessage(moves.map(({ at }) => String(at)));
  });
`;

let thread: SwapThread;
let made = 0;

afterEach(() => thread.close());

const start = () => {
  made = 0;
  thread = new SwapThread(() => {
    made++;
    return new Worker(WORKER, { eval: true });
  });
};
const job = (block: number, ...at: number[]): Job => ({
  kind: "read",
  moves: at.map((at) => ({ block, at })),
  names: new Uint8Array(32 * at.length),
});

test("starts with its first job", async () => {
  start();
  expect(made).toBe(0);
  expect(await thread.ask(job(0, 1))).toEqual(["1"]);
  expect(made).toBe(1);
});

test("answers in order, and knows how much it has to do", async () => {
  start();
  const answers = [job(0, 1, 2), job(0, 3)].map((one) => thread.ask(one));
  expect(thread.jobs).toBe(2);
  expect(await Promise.all(answers)).toEqual([["1", "2"], ["3"]]);
  expect(thread.jobs).toBe(0);
});

test.each([
  [1, "out of luck"],
  [2, "it exited"],
])(
  "one that dies (%i) fails what it had to do, in words, and another goes on",
  async (how, why) => {
    start();
    const lost = `a thread of the swap file was lost: ${why}`;
    const answers = [job(0, 7), job(how, 1, 2), job(0, 3)].map((one) => thread.ask(one));
    expect(await Promise.all(answers)).toEqual([["7"], [lost, lost], [lost]]);
    expect(await thread.ask(job(0, 5))).toEqual(["5"]);
    expect(made).toBe(2);
  },
);

test("one that can not be started fails what is asked of it", async () => {
  thread = new SwapThread(() => {
    throw new Error("no more threads");
  });
  const lost = "a thread of the swap file was lost: no more threads";
  expect(await thread.ask(job(0, 1, 2))).toEqual([lost, lost]);
  expect(thread.jobs).toBe(0);
});

test("one that is closed says so", async () => {
  start();
  await thread.close();
  expect(await thread.ask(job(0, 1))).toEqual(["the swap file is closed"]);
  expect(made).toBe(0);
});
