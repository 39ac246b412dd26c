/** A group of agents, each a process of its own that the kernel spawned, which wait to be told. */
import { z } from "zod";
import { type Child, connect, type Os } from "../../syscalls/index.js";
import type { Daemon } from "../harness/daemon.js";
import { processSeconds } from "../harness/machine.js";
import { inCheckout } from "../harness/root.js";

/** What all agents together did in one run. */
export interface GroupRun {
  readonly seconds: number;
  readonly tokens: number;
  /** For each agent a digest of its tokens, in order of the prompts. */
  readonly digests: readonly string[];
  readonly firstTokenMs: readonly number[];
  /** CPU seconds of the daemon, of its driver, and of all agents. */
  readonly cpu: { readonly kernel: number; readonly driver: number; readonly agents: number };
}

export interface Task {
  readonly prompts: readonly string[];
  readonly maxTokens: number;
  /** Take the tokens as they come, not as one reply. */
  readonly stream: boolean;
}

const Done = z.object({
  tokens: z.number(),
  digest: z.string(),
  chunks: z.number(),
  usage: z.object({ firstTokenMs: z.number() }),
});
type Done = z.infer<typeof Done>;

/** The operating system's pids. */
interface Pids {
  readonly kernel: number;
  readonly driver: number;
  readonly agents: readonly number[];
}

export class AgentGroup implements AsyncDisposable {
  readonly #os: Os;
  readonly #children: readonly Child[];
  readonly #pids: Pids;

  private constructor(os: Os, children: readonly Child[], pids: Pids) {
    this.#os = os;
    this.#children = children;
    this.#pids = pids;
  }

  /** Spawns `count` agents through the daemon; resolves when all are attached. */
  static async start(daemon: Daemon, count: number): Promise<AgentGroup> {
    const os = await connect({ home: daemon.home, name: "bench" });
    const argv = [process.execPath, inCheckout("dist", "bench", "agents", "burst.js"), os.pid];
    const spawns = Array.from({ length: count }, (_, i) =>
      os.proc.spawn(argv, { name: `burst-${i + 1}` }),
    );
    const children = await Promise.all(spawns);
    for (let i = 0; i < count; i++) await os.ipc.recv({ timeoutMs: 60_000 });
    const { daemonPid, driverPid } = await os.sys.uname();
    const mine = new Set(children.map(({ pid }) => pid));
    const agents = (await os.proc.ps()).flatMap(({ pid, osPid }) =>
      mine.has(pid) && osPid !== null ? [osPid] : [],
    );
    return new AgentGroup(os, children, { kernel: daemonPid, driver: driverPid, agents });
  }

  /** Gives each agent its prompt at the same moment. The clock runs from there to the last report. */
  async run({ prompts, maxTokens, stream }: Task): Promise<GroupRun> {
    const before = this.#cpu();
    const start = performance.now();
    const sends = this.#children.map(({ pid }, i) =>
      this.#os.ipc.send(pid, JSON.stringify({ prompt: prompts[i], maxTokens, stream })),
    );
    const reports = new Map<string, Done>();
    for (const _ of this.#children) {
      const { from, text } = await this.#os.ipc.recv({ timeoutMs: 300_000 });
      reports.set(from, Done.parse(JSON.parse(text)));
    }
    const seconds = (performance.now() - start) / 1000;
    await Promise.all(sends);
    const after = this.#cpu();
    const done = this.#children.flatMap(({ pid }) => reports.get(pid) ?? []);
    return {
      seconds,
      tokens: done.reduce((sum, { tokens }) => sum + tokens, 0),
      digests: done.map(({ digest }) => digest),
      firstTokenMs: done.map(({ usage }) => usage.firstTokenMs),
      cpu: {
        kernel: after.kernel - before.kernel,
        driver: after.driver - before.driver,
        agents: after.agents - before.agents,
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#children.map(({ pid }) => this.#os.ipc.send(pid, "", { topic: "end" })),
    );
    await Promise.all(this.#children.map((child) => child.wait({ timeoutMs: 10_000 })));
    await this.#os.close();
  }

  #cpu(): GroupRun["cpu"] {
    const { kernel, driver, agents } = this.#pids;
    return {
      kernel: processSeconds(kernel),
      driver: processSeconds(driver),
      agents: agents.reduce((sum, pid) => sum + processSeconds(pid), 0),
    };
  }
}
