/**
 * `test` with a fake kernel and a program attached to it, each test with its own.
 * A rejection that nobody handles fails the run: vitest watches for them.
 */
import { test as base } from "vitest";
import { connect, type Os } from "../index.js";
import { type FakeKernel, startFakeKernel } from "./fake-kernel.js";

interface Attached {
  readonly kernel: FakeKernel;
  readonly os: Os;
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
});
