import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { IMPORTS_TOO } from "./vitest.import.config.js";

/** Tests that start processes, are long, or mock a module: each file in a process of its own. */
const ALONE = [
  "**/*.e2e.test.ts",
  "test/{conformance,sim,fault,fuzz,e2e}/**/*.test.ts",
  "servers/llm/models/lock-replaced.test.ts",
];
/**
 * The files that take longest, and longest first: a clone knows no times yet, and a long file that
 * begins last leaves a core idle for as long as it takes.
 */
const LONGEST = [
  "test/e2e/cli.test.ts",
  "test/e2e/nats-given.test.ts",
  "test/e2e/models.test.ts",
  "test/fuzz/doors-hostile.test.ts",
  "test/e2e/nats-events.test.ts",
  "test/e2e/cli-demo.test.ts",
  "test/e2e/models-interrupted.test.ts",
  "test/conformance/doors.test.ts",
  "test/conformance/law2.test.ts",
  "servers/gateway/openai.e2e.test.ts",
  "syscalls/kernel.e2e.test.ts",
  "test/e2e/kernel-refusals.test.ts",
];
const EXCLUDED = ["**/node_modules/**", "dist/**", ...IMPORTS_TOO];

/** Those first, then what else starts processes, and at the end the small ones, which fill both cores. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

function rank({ moduleId, project }: TestSpecification): number {
  const place = LONGEST.findIndex((file) => moduleId.endsWith(`/${file}`));
  if (place >= 0) return place;
  return LONGEST.length + (project.name === "whole" ? 0 : 1);
}

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: more workers than that only make timings worse.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "units",
          include: [
            "{proto,kernel,syscalls,servers,agents,cli,bench}/**/*.test.ts",
            "test/*.test.ts",
          ],
          exclude: [...EXCLUDED, ...ALONE],
          // They read the same modules, and keep no state in them.
          isolate: false,
        },
      },
      { extends: true, test: { name: "whole", include: ALONE, exclude: EXCLUDED } },
    ],
  },
});
