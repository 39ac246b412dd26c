/** `test` with a fake kernel and a program attached to it, each test with its own. */
import { test as base, expect } from "vitest";
import { connect, type Os } from "../index.js";
import { type FakeKernel, startFakeKernel } from "./fake-kernel.js";

interface Attached {
  readonly kernel: FakeKernel;
  readonly os: Os;
  /** Fails the test after which a rejection is left that nobody handled. */
  readonly floating: undefined;
}

export const test = base.extend<Attached>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads here that it needs no other fixture.
  kernel: async ({}, use) => {
    const kernel = await startFakeKernel();
    await use(kernel);
    await kernel[Symbol.asyncDispose]();
  },
  os: async ({ kernel }, use) => {
    const os = await connect({ address: kernel.address, token: "t" });
    await use(os);
    await os.close();
  },
  floating: [
    // biome-ignore lint/correctness/noEmptyPattern: as above.
    async ({}, use) => {
      const reasons: unknown[] = [];
      const note = (reason: unknown): unknown => reasons.push(reason);
      process.on("unhandledRejection", note);
      await use(undefined);
      await new Promise((turn) => setImmediate(turn));
      process.off("unhandledRejection", note);
      expect(reasons).toEqual([]);
    },
    { auto: true },
  ],
});
