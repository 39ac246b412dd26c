import { defineConfig } from "vitest/config";

/** Imports held against other programs (PyPI's gguf, llama.cpp): slower, and not part of `npm test`. */
export default defineConfig({
  test: {
    include: ["test/import/**/*.test.ts"],
    testTimeout: 300_000,
    // A virtual environment may have to be filled first.
    hookTimeout: 300_000,
    maxWorkers: 1,
  },
});
