import { expect, it } from "vitest";
import type { Pid, SlotInfo } from "../syscalls/index.js";
import { watchPrefill } from "./prefill-watch.js";

const PID = "n1.7" as Pid;
const slot = (more: Partial<SlotInfo>): SlotInfo => ({
  ...{ slot: 0, pid: PID, cid: null, tokens: 0, phase: "prefill", model: "m", of: 0 },
  ...more,
});

/** Plays looks at the slots one after the other; an error for what can not be read. */
async function watched(looks: readonly (readonly SlotInfo[] | Error)[]): Promise<string[]> {
  const over = new AbortController();
  const left = [...looks];
  const drawn: string[] = [];
  const line = {
    live: true,
    show: (tokens: number, of: number) => void drawn.push(`${tokens}/${of}`),
    clear: () => void drawn.push("-"),
    [Symbol.dispose]: () => undefined,
  };
  const slots = async (): Promise<readonly SlotInfo[]> => {
    const next = left.shift() ?? [];
    if (next instanceof Error) throw next;
    return next;
  };
  const wait = async (): Promise<void> => {
    if (left.length === 0) over.abort();
  };
  await watchPrefill({ pid: PID, line, slots, wait }, over.signal);
  return drawn;
}

it("shows the prefill of the process that has most before it, and of no other", async () => {
  const others = slot({ pid: "n1.8" as Pid, tokens: 1, of: 9000 });
  const looks = [
    [others],
    [others, slot({ tokens: 900, of: 1000 }), slot({ slot: 1, tokens: 256, of: 2048 })],
    [others, slot({ tokens: 2100, phase: "decode" })],
  ];
  expect(await watched(looks)).toEqual(["-", "256/2048", "-", "-"]);
});

it("leaves nothing behind when the program ends, or the daemon does not answer", async () => {
  const reading = [slot({ tokens: 5, of: 10 })];
  expect(await watched([reading])).toEqual(["5/10", "-"]);
  expect(await watched([reading, new Error("gone"), reading])).toEqual(["5/10", "-"]);
});
