import { defineConfig } from "vitest/config";

/** What takes longest of the imports stands beside what it tests. */
export const IMPORTS_TOO = [
  "test/conformance/law2-export.test.ts",
  "servers/llm/models/library-kill.test.ts",
  "servers/llm/engine/stress.test.ts",
];

/**
 * Imports, held against other programs (PyPI's gguf, llama.cpp), killed, and run for longer:
 * slow, and not part of `npm test`.
 */
export default defineConfig({
  test: {
    include: ["test/import/**/*.test.ts", ...IMPORTS_TOO],
    testTimeout: 300_000,
    // A virtual environment may have to be filled first.
    hookTimeout: 300_000,
    maxWorkers: 1,
  },
});
