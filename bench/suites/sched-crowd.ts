/**
 * Many real agent processes at once on the fake driver: each makes its calls, all finish,
 * none is lost and none is doubled; and what memory the kernel takes for them.
 */
import { readFile } from "node:fs/promises";
import { connect } from "../../syscalls/index.js";
import { startDaemon } from "../harness/daemon.js";
import { figure } from "../harness/report.js";
import { AgentGroup, type GroupRun } from "./agent-group.js";
import { type SuiteResult, say } from "./suite.js";

export interface SchedCrowdOptions {
  readonly agents: number;
  readonly calls: number;
  readonly tokens: number;
}

export async function schedCrowd(options: SchedCrowdOptions): Promise<SuiteResult> {
  const { agents, calls, tokens } = options;
  const queue = { CONTIX_QUEUE_LIMIT: String(2 * agents) };
  await using daemon = await startDaemon(["--driver", "fake", "--slots", "16"], queue);
  await using os = await connect({ home: daemon.home, name: "bench" });
  const before = await os.sys.stats();
  const runs: GroupRun[] = [];
  const start = performance.now();
  {
    await using group = await AgentGroup.start(daemon, agents);
    say(`${agents} agents are attached after ${((performance.now() - start) / 1000).toFixed(1)} s`);
    for (let call = 0; call < calls; call++) {
      const prompts = Array.from({ length: agents }, (_, i) => `call ${call} of agent ${i}`);
      runs.push(await group.run({ prompts, maxTokens: tokens, stream: call % 2 === 0 }));
      say(`call ${call + 1}: ${runs.at(-1)?.digests.length} answers`);
    }
  }
  const made = (await os.sys.stats()).tokensGenerated - before.tokensGenerated;
  const answered = runs.reduce((sum, { digests }) => sum + digests.length, 0);
  const due = agents * calls;
  const figures = [
    figure("lost", "calls", [due - answered]),
    // Each answer has all its tokens, and the kernel has made no others.
    figure("short", "tokens", [due * tokens - runs.reduce((sum, run) => sum + run.tokens, 0)]),
    figure("doubled", "tokens", [made - due * tokens]),
    figure("kernel.memory", "MiB", [await peakMiB(daemon.pid)]),
    figure(
      "calls.seconds",
      "s",
      runs.map(({ seconds }) => seconds),
    ),
    figure("kernel.cpu", "s", [runs.reduce((sum, { cpu }) => sum + cpu.kernel, 0)]),
  ];
  return { parameters: { agents, calls, tokens, driver: "fake" }, figures, notes: NOTES };
}

const NOTES = [
  "lost: calls without an answer. short: tokens that answers lack. doubled: tokens that the kernel made beyond what was " +
    "asked. kernel.memory: the most resident memory that the kernel's process ever had, code included.",
];

/** The most resident memory of a process so far. */
async function peakMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(status.match(/^VmHWM:\s+(\d+)/m)?.[1]) / 1024;
}
