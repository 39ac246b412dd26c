import { expect, it } from "vitest";
import { BareKernel } from "../../test/support/bare-kernel.js";
import { EVERYONE, RIGHTS } from "../cap/rights.js";

it("another quantum is the same policy's, another policy a new one", async () => {
  const world = new BareKernel();
  const heard: string[] = [];
  const sched = {
    setPolicy: ({ name, quantum }: { name: string; quantum: number }) =>
      void heard.push(`${name} ${quantum}`),
    setQuantum: (quantum: number) => void heard.push(String(quantum)),
  };
  Object.assign(world.kernel.engines.running[0] ?? {}, { sched });
  const object = { type: "principal", id: EVERYONE } as const;
  const pid = world.process({ gifts: [{ parent: 0n, object, rights: RIGHTS.admin }] });
  for (const args of [{ quantum: 32 }, { policy: "fair" }, {}, { policy: "fair", quantum: 8 }]) {
    expect(await world.outcome(pid, "schedSet", args)).toBe("ok");
  }
  expect(heard).toEqual(["32", "fair 32", "8"]);
});
