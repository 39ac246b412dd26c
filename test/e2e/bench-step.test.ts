/** The clocks of `bench step` are in the modules that the driver runs on, however programs are built. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { z } from "zod";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const Report = z.object({
  figures: z.array(z.object({ id: z.string(), median: z.number() })),
});

it("a step of the real driver is taken apart", async () => {
  const models = mkdtempSync(join(tmpdir(), "contix-bench-"));
  onTestFinished(() => rmSync(models, { recursive: true, force: true }));
  const args = ["step", "--model", "tiny", "--quick", "--json", "--rows", "2"];
  const { stdout } = await run(process.execPath, ["dist/bench/main.js", ...args], {
    cwd: ROOT,
    env: { ...process.env, CONTIX_MODELS: models },
  });
  const { figures } = Report.parse(JSON.parse(stdout));
  const of = (id: string): number => figures.find((each) => each.id === id)?.median ?? Number.NaN;
  for (const part of ["run", "prepare", "sample", "text", "encode"]) {
    expect(of(`greedy.${part}`), part).toBeGreaterThan(0);
  }
  expect(of("greedy.run")).toBeLessThan(of("greedy.period"));
});
