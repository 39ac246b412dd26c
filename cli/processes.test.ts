import fc from "fast-check";
import { expect, it } from "vitest";
import type { ProcInfo } from "../syscalls/index.js";
import { counterOf, orderProcesses, PROCESS_KEYS, treeOf } from "./processes.js";

function proc(n: number, more: Partial<ProcInfo> = {}): ProcInfo {
  const id = `n1.${n}`;
  return {
    pid: id,
    parent: null,
    name: id,
    models: [],
    group: id,
    session: id,
    ...more,
  } as ProcInfo;
}

it("orders numbers from the largest, texts from A, and equals by their pid", () => {
  const procs = [
    proc(10, { tokensOut: 5, name: "b" }),
    proc(9, { tokensOut: 7, name: "a" }),
    proc(2, { tokensOut: 5, name: "b" }),
  ];
  const pids = (key: "out" | "name" | "pid", reverse = false): string[] =>
    orderProcesses(procs, key, reverse).map(({ pid }) => pid.slice(3));
  expect(pids("out")).toEqual(["9", "2", "10"]);
  expect(pids("out", true)).toEqual(["2", "10", "9"]);
  expect(pids("name")).toEqual(["9", "2", "10"]);
  expect(pids("pid")).toEqual(["2", "9", "10"]);
  for (const key of PROCESS_KEYS) expect(orderProcesses(procs, key, false)).toHaveLength(3);
});

it("puts every process once under its parent, whoever the parents are", () => {
  const parents = fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 40 });
  fc.assert(
    fc.property(parents, (given) => {
      // A parent is older than its child, or not there.
      const procs = given.map((parent, i) =>
        proc(i + 1, { parent: parent <= i && parent > 0 ? `n1.${parent}` : "n1.99" }),
      );
      const leaves = treeOf(procs);
      expect(leaves.map(({ proc }) => counterOf(proc.pid)).sort((a, b) => a - b)).toEqual(
        procs.map(({ pid }) => counterOf(pid)),
      );
      const at = new Map(leaves.map((leaf, index) => [leaf.proc.pid, { ...leaf, index }]));
      for (const { proc, branch, index } of at.values()) {
        const parent = at.get(proc.parent ?? "");
        expect(branch.length).toBe(parent ? parent.branch.length + 3 : 0);
        if (parent) expect(index).toBeGreaterThan(parent.index);
      }
    }),
    { numRuns: 100 },
  );
});
