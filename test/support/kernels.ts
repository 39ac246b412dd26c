/** Real daemons with the fake driver for tests of the kernel from outside. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Child, Os } from "../../syscalls/index.js";
import {
  startTestKernel,
  type TestKernel,
  type TestKernelOptions,
} from "../../syscalls/testing.js";
import { RawClient } from "./raw-client.js";

/** Starts a kernel that ends with the test. */
export async function start(options: TestKernelOptions = {}): Promise<TestKernel> {
  const kernel = await startTestKernel(options);
  onTestFinished(() => kernel.stop());
  return kernel;
}

/** A client without the SDK that is welcome. */
export async function attach(kernel: TestKernel): Promise<RawClient> {
  const client = new RawClient(kernel.address);
  client.hello(kernel.token);
  await client.welcome();
  return client;
}

/** Where programs find the SDK by its name. */
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Spawns an agent in a process of its own; in `body` it is attached as `os`. */
export function spawnAgent(os: Os, body: string): Promise<Child> {
  return os.proc.spawn(agentCommand(body), { cwd: ROOT });
}

/** The same program started by hand, not by the kernel. */
export function startAgent(kernel: TestKernel, body: string): ChildProcess {
  const [program = "", ...args] = agentCommand(body);
  return spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...kernel.env },
    stdio: "ignore",
  });
}

function agentCommand(body: string): string[] {
  const source = `import { connect } from "contix"; const os = await connect();\n${body}`;
  return [process.execPath, "--input-type=module", "-e", source];
}

/** The OS process of a spawned agent. A missing one is an error: to signal 0 would end the tests. */
export async function osPidOf(os: Os, pid: string): Promise<number> {
  const osPid = (await os.proc.ps()).find((proc) => proc.pid === pid)?.osPid;
  if (!osPid) throw new Error(`${pid} has no OS process`);
  return osPid;
}

/** Resolves when `what` holds. Waits on the state itself, never on a time. */
export async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 10));
}
