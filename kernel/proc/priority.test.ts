import { spawn } from "node:child_process";
import { getPriority } from "node:os";
import { expect, it, onTestFinished } from "vitest";
import { AGENT_NICE, Priorities } from "./priority.js";

/** Programs that do nothing until the test is over. */
function sleepers(n: number): number[] {
  const all = Array.from({ length: n }, () => spawn("sleep", ["600"], { stdio: "ignore" }));
  onTestFinished(() => all.forEach((child) => void child.kill("SIGKILL")));
  return all.map(({ pid = 0 }) => pid);
}

/** Priorities on a system that lowers `most` groups at a time. */
function world(most: number) {
  let due: (() => void)[] = [];
  let left = most;
  const lowered: number[] = [];
  const clock = {
    ...{ now: () => 0, wall: () => 0 },
    after: (_: number, fn: () => void) => {
      due.push(fn);
      return () => {};
    },
  };
  const priorities = new Priorities(clock, (osPid, nice) => {
    expect(nice).toBe(AGENT_NICE);
    if (left-- <= 0) throw Object.assign(new Error("try again"), { code: "EAGAIN" });
    lowered.push(osPid);
  });
  const pass = (): number => {
    left = most;
    const fired = due;
    due = [];
    for (const fn of fired) fn();
    return fired.length;
  };
  return { priorities, lowered, pass };
}

it("lowers a process at once, and its group when the system lets it, each in its turn", () => {
  const { priorities, lowered, pass } = world(1);
  const [a = 0, b = 0, c = 0, d = 0] = sleepers(4);
  for (const osPid of [a, b, c, d]) priorities.lower(osPid);
  expect([a, b, c, d].map((osPid) => getPriority(osPid))).toEqual(Array(4).fill(AGENT_NICE));
  expect(lowered).toEqual([a]);
  pass();
  expect(lowered).toEqual([a, b]);
  // Its number may be another's now.
  priorities.forget(c);
  pass();
  expect(lowered).toEqual([a, b, d]);
  // Nobody is left: it does not look again.
  expect(pass()).toBe(0);
});

it("asks once where there are no such groups", () => {
  let asked = 0;
  const after = (): never => {
    throw new Error("nothing is to be tried again");
  };
  const priorities = new Priorities({ now: () => 0, wall: () => 0, after }, () => {
    asked++;
    throw Object.assign(new Error("no such file"), { code: "ENOENT" });
  });
  priorities.lower(sleepers(1)[0] ?? 0);
  expect(asked).toBe(1);
});
