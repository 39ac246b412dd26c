/** The sys and time syscalls. */
import { argumentsOf } from "./args.js";
import type { Call } from "./call.js";
import type { Engine } from "./engines/engine.js";
import { ABI, type Kernel, NODE, VERSION } from "./kernel.js";
import { processSleeps } from "./mm/process-waits.js";

export function uname(kernel: Kernel, call: Call): void {
  const { engines, clock } = kernel;
  const { ready } = engines.defaultEngine;
  call.done({
    $case: "uname",
    value: {
      kernelVersion: VERSION,
      abi: ABI,
      node: `n${NODE}`,
      engineDigest: ready.engineDigest,
      model: engines.default.name,
      driver: ready.driver,
      uptimeUs: BigInt(clock.now() - kernel.startedAt),
      daemonPid: process.pid,
      driverPid: engines.default.driver.osPid,
    },
  });
}

/** Figures of the whole kernel: those of its engines, added up. */
export function stats(kernel: Kernel, call: Call): void {
  const { engines, trap } = kernel;
  const running = engines.running;
  const sum = (of: (engine: Engine) => number): number =>
    running.reduce((total, engine) => total + of(engine), 0);
  const { ready, sched } = engines.defaultEngine;
  call.done({
    $case: "stats",
    value: {
      slots: sum((engine) => engine.ready.slots),
      slotsUsed: sum((engine) => engine.sched.running.length),
      slotTokens: ready.slotTokens,
      queued: sum((engine) => engine.sched.waiting),
      queueLimit: engines.default.admission.limit,
      tokensPrefilled: BigInt(sum(({ loop }) => loop.counters.tokensPrefilled)),
      tokensDecoded: BigInt(sum(({ loop }) => loop.counters.tokensDecoded)),
      tokensGenerated: BigInt(sum(({ loop }) => loop.counters.tokensGenerated)),
      tokensRecomputed: BigInt(sum(({ placer }) => placer.recomputed)),
      steps: BigInt(sum(({ loop }) => loop.counters.steps)),
      stepUs: BigInt(sum(({ loop }) => loop.counters.stepUs)),
      contextSwitches: BigInt(sum((engine) => engine.sched.contextSwitches)),
      driverRestarts: sum(({ driver }) => driver.restarts),
      policy: sched.policy,
      syscalls: BigInt(trap.syscalls),
      denied: BigInt(trap.denied),
      slot: running.flatMap(slotsOf),
      memoryBudget: BigInt(engines.memoryBudget),
      memoryUsed: BigInt(engines.memoryUsed),
    },
  });
}

function slotsOf({ model, sched, placer }: Engine) {
  const running = new Map(sched.running.map((burst) => [burst.spec.cid, burst]));
  return placer.table.slots.map((entry) => {
    const burst = entry.cid === undefined ? undefined : running.get(entry.cid);
    const phase = !burst ? "idle" : burst.generatedSoFar > 0 ? "decode" : "prefill";
    const pid = burst?.spec.pid ?? 0n;
    return { slot: entry.index, pid, cid: entry.cid ?? 0n, tokens: entry.resident, phase, model };
  });
}

export function sleep(kernel: Kernel, call: Call): void {
  const { us } = argumentsOf(call, "sleep");
  call.waitingOn = "timer";
  processSleeps(kernel, call.process, Number(us));
  const cancel = kernel.clock.after(Number(us), () => call.done({ $case: "sleep", value: {} }));
  call.onEnd(cancel);
}
