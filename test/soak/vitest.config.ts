import { defineConfig } from "vitest/config";

/** The soak is no part of `npm test`: it takes the time that it is given. */
export default defineConfig({
  test: { include: ["test/soak/*.soak.ts"], testTimeout: 0, hookTimeout: 0, maxWorkers: 1 },
});
