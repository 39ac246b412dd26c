import { expect, it } from "vitest";
import { memoryJournal } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { processSleeps, processWaits } from "./process-waits.js";

type Parts = Pick<Kernel, "journal" | "engines" | "life" | "clock">;

it("a process's wait is one of its contexts, but for those that are in use", () => {
  const journal = memoryJournal();
  const of = { parent: 0n, name: "", principal: "p", nice: 0, spawned: false, log: "", at: 0 };
  for (const pid of [8n, 9n]) journal.append({ type: "proc.created", pid, ...of });
  const belongs = { model: "m", engine: "e", at: 0 };
  for (const cid of [1n, 2n]) {
    journal.append({ type: "ctx.created", cid, owner: 9n, handle: Number(cid), ...belongs });
  }
  journal.append({ type: "ctx.created", cid: 3n, owner: 8n, handle: 1, ...belongs });
  const told: unknown[] = [];
  const kernel = {
    journal,
    clock: { now: () => 1000 },
    life: { isBusy: (cid: bigint) => cid === 2n },
    engines: { waits: ({ cid }: { cid: bigint }, ...what: unknown[]) => told.push(cid, ...what) },
  } as unknown as Parts;
  const process = journal.state.processes.get(9n);
  if (!process) throw new Error("no process");
  processWaits(kernel, process, { kind: "message" });
  processSleeps(kernel, process, 500);
  expect(told).toEqual([1n, { kind: "message" }, 1000, 1n, { kind: "timer", until: 1500 }, 1000]);
});
