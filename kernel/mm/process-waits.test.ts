import { expect, it } from "vitest";
import { memoryJournal } from "../journal/journal.js";
import type { Kernel } from "../kernel.js";
import { processSleeps, processWaits } from "./process-waits.js";

type Parts = Pick<Kernel, "journal" | "engines" | "life" | "clock">;

it("a process's wait is one of its contexts, but for those that are in use", () => {
  const journal = memoryJournal();
  const belongs = { model: "m", engine: "e", at: 0 };
  for (const cid of [1n, 2n])
    journal.append({ type: "ctx.created", cid, owner: 0n, handle: 0, ...belongs });
  const told: unknown[] = [];
  const kernel = {
    journal,
    clock: { now: () => 1000 },
    life: { isBusy: (cid: bigint) => cid === 2n },
    engines: { waits: ({ cid }: { cid: bigint }, ...what: unknown[]) => told.push(cid, ...what) },
  } as unknown as Parts;
  const process = {
    handles: new Map([
      [1, 1n],
      [2, 2n],
      [3, 3n],
    ]),
  };
  processWaits(kernel, process, { kind: "message" });
  processSleeps(kernel, process, 500);
  expect(told).toEqual([1n, { kind: "message" }, 1000, 1n, { kind: "timer", until: 1500 }, 1000]);
});
