/** The sys, time and small llm syscalls. */
import { ContixError } from "../proto/errno.js";
import { argumentsOf } from "./args.js";
import type { Call } from "./call.js";
import { ABI, type Kernel, NODE, VERSION } from "./kernel.js";

/** The longest text that one tokenize call takes, characters. */
const TOKENIZE_LIMIT = 4_000_000;

export function uname(kernel: Kernel, call: Call): void {
  const { engine, clock, driver } = kernel;
  call.done({
    $case: "uname",
    value: {
      kernelVersion: VERSION,
      abi: ABI,
      node: `n${NODE}`,
      engineDigest: engine.engineDigest,
      model: engine.model,
      driver: engine.driver,
      uptimeUs: BigInt(clock.now() - kernel.startedAt),
      daemonPid: process.pid,
      driverPid: driver.osPid,
    },
  });
}

export function stats(kernel: Kernel, call: Call): void {
  const { loop, sched, placer, admission, driver, trap, engine } = kernel;
  const running = new Map(sched.running.map((burst) => [burst.spec.cid, burst]));
  const slot = placer.table.slots.map((entry) => {
    const burst = entry.cid === undefined ? undefined : running.get(entry.cid);
    const phase = !burst ? "idle" : burst.generatedSoFar > 0 ? "decode" : "prefill";
    const cid = entry.cid ?? 0n;
    return { slot: entry.index, pid: burst?.spec.pid ?? 0n, cid, tokens: entry.resident, phase };
  });
  call.done({
    $case: "stats",
    value: {
      slots: engine.slots,
      slotsUsed: sched.running.length,
      slotTokens: engine.slotTokens,
      queued: sched.waiting,
      queueLimit: admission.limit,
      tokensPrefilled: BigInt(loop.counters.tokensPrefilled),
      tokensGenerated: BigInt(loop.counters.tokensGenerated),
      tokensRecomputed: BigInt(placer.recomputed),
      steps: BigInt(loop.counters.steps),
      stepUs: BigInt(loop.counters.stepUs),
      contextSwitches: BigInt(sched.contextSwitches),
      driverRestarts: driver.restarts,
      policy: sched.policy,
      syscalls: BigInt(trap.syscalls),
      denied: BigInt(trap.denied),
      slot,
    },
  });
}

export function models(kernel: Kernel, call: Call): void {
  const { engine, config } = kernel;
  const model = {
    name: config.driver === "fake" ? engine.model : config.model,
    digest: engine.engineDigest,
    window: engine.slotTokens,
    vocab: engine.vocab,
    loaded: true,
    license: engine.license,
    chat: engine.chat,
  };
  call.done({ $case: "models", value: { models: [model] } });
}

export async function tokenize(kernel: Kernel, call: Call): Promise<void> {
  const { text, special } = argumentsOf(call, "tokenize");
  if (text.length > TOKENIZE_LIMIT) {
    const message = `a text of ${text.length} characters; at most ${TOKENIZE_LIMIT} a call`;
    throw new ContixError("E2BIG", message, { argument: "text" });
  }
  const what = { $case: "encode" as const, value: { text, special, start: false } };
  const tokens = text === "" ? [] : await kernel.driver.text(what);
  call.done({ $case: "tokenize", value: { tokens } });
}

export function sleep(kernel: Kernel, call: Call): void {
  const { us } = argumentsOf(call, "sleep");
  call.waitingOn = "timer";
  const cancel = kernel.clock.after(Number(us), () => call.done({ $case: "sleep", value: {} }));
  call.onEnd(cancel);
}

/** EMODEL unless `name` is the model that this kernel serves, or empty. */
export function checkModel(kernel: Kernel, name: string): void {
  const { engine, config } = kernel;
  if (name === "" || name === engine.model || name === config.model) return;
  if (name === engine.engineDigest) return;
  throw new ContixError("EMODEL", `unknown model "${name}"; this kernel serves ${config.model}`, {
    argument: "model",
  });
}
