import { expect, it } from "vitest";
import { memoryJournal } from "../journal/journal.js";
import type { Need } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import { callWaits, processSleeps, processWaits } from "./process-waits.js";

type Parts = Pick<Kernel, "journal" | "engines" | "life" | "clock">;

/** Process 9 has the contexts 1, 2, which is in use, and 4; process 8 has 3. */
function world() {
  const journal = memoryJournal();
  const of = { parent: 0n, name: "", principal: "p", nice: 0, spawned: false, log: "", at: 0 };
  for (const pid of [8n, 9n]) journal.append({ type: "proc.created", pid, ...of });
  const belongs = { model: "m", engine: "e", at: 0 };
  for (const cid of [1n, 2n, 3n, 4n]) {
    const owner = cid === 3n ? 8n : 9n;
    journal.append({ type: "ctx.created", cid, owner, handle: Number(cid), ...belongs });
  }
  const told: unknown[] = [];
  const kernel = {
    journal,
    clock: { now: () => 1000 },
    life: { isBusy: (cid: bigint) => cid === 2n },
    engines: { waits: ({ cid }: { cid: bigint }, ...what: unknown[]) => told.push([cid, ...what]) },
  } as unknown as Parts;
  const process = journal.state.processes.get(9n);
  if (!process) throw new Error("no process");
  const advised = (need: Need, pauseUs = 0) =>
    journal.append({ type: "ctx.advised", cid: 4n, need, pauseUs, at: 0 });
  return { kernel, process, told, advised };
}

it("a process's wait is one of its contexts, but for those that are in use", () => {
  const { kernel, process, told } = world();
  processWaits(kernel, process, { kind: "message" });
  expect(told.splice(0)).toEqual([
    [1n, { kind: "message" }, 1000],
    [4n, { kind: "message" }, 1000],
  ]);
  processSleeps(kernel, process, 500);
  expect(told[0]).toEqual([1n, { kind: "timer", until: 1500 }, 1000]);
});

it("is no word against what was advised of a context, until that was taken back", () => {
  const { kernel, process, told, advised } = world();
  for (const [need, pauseUs, heard] of [
    ["dontneed", 0, [1n]],
    ["unknown", 30, [1n]],
    ["unknown", 0, [1n, 4n]],
  ] as const) {
    advised(need, pauseUs);
    processWaits(kernel, process, { kind: "message" });
    expect(told.splice(0).map((what) => (what as unknown[])[0])).toEqual(heard);
  }
});

it("begins with a call that waits, and not with one that was answered at once", () => {
  const { kernel, process, told } = world();
  callWaits(kernel, { process, waitingOn: "lock", over: true });
  expect(told).toEqual([]);
  callWaits(kernel, { process, waitingOn: "lock", over: false });
  expect(told[0]).toEqual([1n, { kind: "lock" }, 1000]);
});
