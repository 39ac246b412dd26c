import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { BareKernel } from "../../test/support/bare-kernel.js";
import { startProgram } from "./start-program.js";
import { alone, WATCHED } from "./supervise/births.js";

it("a program whose run was ended while it started is ended, and is not the next run's", async () => {
  const { kernel } = new BareKernel();
  const home = mkdtempSync(join(tmpdir(), "contix-start-"));
  onTestFinished(() => rmSync(home, { recursive: true }));
  Object.assign(kernel.config, { home });
  const limits = { memoryBytes: 0, cpuUs: 0, openFiles: 0, permission: false, read: [], write: [] };
  const program = { argv: ["sleep", "600"], env: {}, cwd: "/", confinement: limits };
  const of = { parent: 0n, name: "p", principal: "alice", nice: 0, spawned: true, program };
  const { pid } = kernel.procs.create({
    ...of,
    also: (pid) => alone({ ...of, pid }, { pid, ...WATCHED, policy: "always" }),
  });
  const starting = startProgram(kernel, pid);
  kernel.procs.kill(pid);
  const os = await starting;
  await os.gone;
  expect(kernel.procs.osPid(pid)).toBe(0);
  // Its end is not that of the run that is to come.
  expect(kernel.procs.supervisor.between(pid)).toBeDefined();
  expect(kernel.procs.get(pid)?.exit).toBe(undefined);
  kernel.procs.end(pid, "over");
});
