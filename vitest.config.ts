import { defineConfig } from "vitest/config";
import { IMPORTS_TOO } from "./vitest.import.config.js";

export default defineConfig({
  test: {
    include: [
      "{proto,kernel,syscalls,servers,agents,cli,bench}/**/*.test.ts",
      "test/{conformance,sim,fault,fuzz,e2e}/**/*.test.ts",
      "test/*.test.ts",
    ],
    exclude: ["**/node_modules/**", "dist/**", ...IMPORTS_TOO],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: more workers than that only make timings worse.
    maxWorkers: 2,
  },
});
