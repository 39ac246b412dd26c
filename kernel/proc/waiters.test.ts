import { describe, expect, it } from "vitest";
import { memoryJournal } from "../journal/journal.js";
import { Waiters } from "./waiters.js";

const PARENT = 1n;

/** A parent with children 2n, 3n, …; `wait` notes what each waiter was told. */
function family(children: number) {
  const journal = memoryJournal();
  const create = (pid: bigint, parent: bigint): void =>
    journal.append({
      type: "proc.created",
      ...{ pid, parent, name: "", principal: "admin", nice: 0, spawned: true, log: "", at: 0 },
    });
  create(PARENT, 0n);
  for (let i = 0; i < children; i++) create(BigInt(2 + i), PARENT);
  const waiters = new Waiters(journal.state);
  const told: string[] = [];
  const wait = (who: string, pid: bigint, parent = PARENT): (() => void) =>
    waiters.add({
      parent,
      pid,
      found: (child) => {
        told.push(`${who}: ${child.pid}`);
        journal.append({ type: "proc.reaped", pid: child.pid });
      },
      failed: ({ code }) => told.push(`${who}: ${code}`),
    });
  const exit = (pid: bigint): void => {
    journal.append({ type: "proc.exited", pid, code: 0, cause: "exit", at: 0 });
    const child = journal.state.processes.get(pid);
    if (child) waiters.over(child);
  };
  return { wait, exit, told, state: journal.state };
}

describe("waiting for children", () => {
  it("finds one that is over already, and reaps it", () => {
    const { wait, exit, told, state } = family(2);
    exit(2n);
    wait("any", 0n);
    expect(told).toEqual(["any: 2"]);
    expect(state.processes.has(2n)).toBe(false);
  });

  it("gives a child to who waits for it alone, before who waits for any", () => {
    const { wait, exit, told } = family(2);
    wait("any", 0n);
    wait("two", 2n);
    exit(2n);
    expect(told).toEqual(["two: 2"]);
    exit(3n);
    expect(told).toEqual(["two: 2", "any: 3"]);
  });

  it("never leaves a waiter waiting for a child that another took", () => {
    const { wait, exit, told } = family(1);
    wait("first", 2n);
    wait("second", 2n);
    wait("any", 0n);
    exit(2n);
    expect(told).toEqual(["first: 2", "second: ECHILD", "any: ECHILD"]);
  });

  it("leaves the child to others when it is taken back", () => {
    const { wait, exit, told, state } = family(1);
    wait("cancelled", 2n)();
    exit(2n);
    expect(told).toEqual([]);
    expect(state.processes.get(2n)?.exit).toBeDefined();
    wait("late", 2n);
    expect(told).toEqual(["late: 2"]);
  });

  it("is for parents: ECHILD for others' children and for none", () => {
    const { wait } = family(1);
    const code = (what: () => void) =>
      expect(what).toThrow(expect.objectContaining({ code: "ECHILD" }));
    code(() => wait("stranger", 2n, 9n));
    code(() => wait("nobody", 7n));
    code(() => wait("childless", 0n, 2n));
  });
});
