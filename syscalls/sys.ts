/** The kernel itself. */
import type { Tier as WireTier } from "../proto/gen/contix/v1/calls.js";
import { checkCount, checkText } from "./check.js";
import {
  type DoorInfo,
  type QueueInfo,
  type TimeInfo,
  toDoor,
  toQueue,
  toTimes,
} from "./figures.js";
import { type Cid, type Pid, showIdOrNull } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import type { ProcInfo } from "./proc.js";
import { toMs } from "./usage.js";
import type { Session } from "./wire/session.js";

/** What the kernel is and runs. */
export interface Uname {
  readonly kernelVersion: string;
  readonly abi: number;
  readonly node: string;
  /** Names everything that a generated token depends on. */
  readonly engineDigest: string;
  readonly model: string;
  readonly driver: "onnxruntime" | "fake";
  readonly uptimeMs: number;
  /** The operating system's pids of the daemon and of its driver. */
  readonly daemonPid: number;
  readonly driverPid: number;
}

/**
 * Counters since the daemon's start, of all models together, and what is in the slots
 * now. `os.llm.models()` has the figures of each.
 */
export interface Stats {
  readonly slots: number;
  readonly slotsUsed: number;
  /** The window of a slot, tokens. */
  readonly slotTokens: number;
  /** Bursts that wait for a slot. */
  readonly queued: number;
  readonly queueLimit: number;
  /** Tokens that entered the model by prefill, and one by one; rebuilt ones too. */
  readonly tokensPrefilled: number;
  readonly tokensDecoded: number;
  readonly tokensGenerated: number;
  readonly tokensRecomputed: number;
  readonly steps: number;
  /** Time in the driver, all steps, milliseconds. */
  readonly stepMs: number;
  readonly contextSwitches: number;
  readonly driverRestarts: number;
  readonly policy: string;
  readonly syscalls: number;
  readonly denied: number;
  /** Calls and attachments that were denied, by their errno. */
  readonly denials: readonly { readonly result: string; readonly calls: number }[];
  readonly door: readonly DoorInfo[];
  /** What waits in the kernel. */
  readonly queue: readonly QueueInfo[];
  /** From a call's arrival at the kernel to its answer, of each kind of call that came. */
  readonly callTime: readonly TimeInfo[];
  /** How long generations waited for a slot. */
  readonly slotWait: TimeInfo | undefined;
  readonly slot: readonly SlotInfo[];
  /** Pages of 16 tokens: places in RAM and in the swap file, and those of them in use. */
  readonly pagesMemory: number;
  readonly pagesMemoryUsed: number;
  readonly pagesSwap: number;
  readonly pagesSwapUsed: number;
  /** Pages that moved: slot to RAM, RAM to slot, RAM to the swap file, the swap file to slot. */
  readonly pagesSaved: number;
  readonly pagesLoaded: number;
  readonly pagesWritten: number;
  readonly pagesRead: number;
  /** Pages that came back from the swap file other than they were written. */
  readonly pagesBad: number;
  /** Reads and writes of the swap file that failed. */
  readonly swapErrors: number;
  /** Pages that were not kept for want of a place. */
  readonly pagesRefused: number;
  /** Pages whose place another took: in RAM, in the swap file. */
  readonly pagesMemoryEvicted: number;
  readonly pagesSwapEvicted: number;
  /** Full pages of contexts that are nowhere now: they are computed when they are needed. */
  readonly pagesDropped: number;
  /** Processes that the caller sees, but itself: in a slot, ready for one or by themselves, and blocked. */
  readonly procsRunning: number;
  readonly procsReady: number;
  readonly procsBlocked: number;
  /** Bytes that all drivers together may take, and that those that run do. */
  readonly memoryBudget: number;
  readonly memoryUsed: number;
}

export interface SlotInfo {
  readonly slot: number;
  /** The process whose context is in it; null when it is free, or somebody else's. */
  readonly pid: Pid | null;
  readonly cid: Cid | null;
  readonly tokens: number;
  readonly phase: "prefill" | "decode" | "idle";
  /** Whose driver's slot it is: each model counts its slots from 0. */
  readonly model: string;
  /** While it prefills: of so many tokens `tokens` are there; else 0. */
  readonly of: number;
}

/** A limit of the process or of its principal, and what is in use of it. */
export interface Limit {
  /** Such as "requestsPerSecond", "tokens", "contexts". */
  readonly quota: string;
  readonly of: "process" | "principal";
  /** Infinity: there is none. */
  readonly limit: number;
  /** Of a rate: of what one second brings, of faults ten. */
  readonly used: number;
}

/** By which policy slots are given to bursts, and who waits for one. */
export interface Sched {
  readonly policy: string;
  /** Tokens of a turn. */
  readonly quantum: number;
  /** The policies that there are. */
  readonly policies: readonly string[];
  /** Shares under the policy fair; a principal that is not named has 1. */
  readonly weights: readonly { readonly principal: string; readonly weight: number }[];
  /** Of each model that has run; counters since the daemon's start. */
  readonly queues: readonly {
    readonly model: string;
    readonly slots: number;
    readonly classes: readonly {
      readonly class: "realtime" | "interactive" | "batch";
      readonly running: number;
      readonly waiting: number;
    }[];
    readonly decisions: number;
    readonly contextSwitches: number;
    /** Generations that have a place: they run, wait, or are held up by their readers. */
    readonly admitted: number;
    readonly limit: number;
    /** Generations that were refused with EAGAIN, and what one is told now: when to try again. */
    readonly refused: number;
    readonly retryMs: number;
  }[];
}

/** What `schedSet` changes; what is not named stays as it is. */
export interface SchedChange {
  readonly policy?: string | undefined;
  /** 1 to 65,536 tokens. */
  readonly quantum?: number | undefined;
  /** 1 to 1000. */
  readonly weights?: readonly { readonly principal: string; readonly weight: number }[] | undefined;
}

/**
 * A place for KV: the slots of the driver, its pages in RAM, its swap file. "dropped" is no
 * place: its `used` are the full pages of contexts that are in none of these.
 */
export interface Tier {
  readonly name: "slots" | "memory" | "swap" | "dropped";
  /** Slots, or pages of 16 tokens. */
  readonly places: number;
  readonly used: number;
  readonly bytes: number;
  readonly bytesUsed: number;
  /** Pages whose place another took, since the daemon's start. */
  readonly evicted: number;
}

/** Where contexts' KV is, what was found when it was looked for, and who holds contexts. */
export interface Memory {
  readonly models: readonly {
    readonly model: string;
    readonly tiers: readonly Tier[];
    readonly contexts: number;
    readonly contextTokens: number;
    /** Tokens computed since the daemon's start, and those of them computed again. */
    readonly tokensEntered: number;
    readonly tokensRecomputed: number;
    /** Full pages that contexts needed when they came to a slot, and those that were kept. */
    readonly pagesAsked: number;
    readonly pagesFound: number;
    /** Pages that came back from the swap file other than they were written: they were computed again. */
    readonly pagesBad: number;
    /** Reads and writes of the swap file that failed. */
    readonly swapErrors: number;
    /** Pages that were not kept for want of a place. */
    readonly pagesRefused: number;
  }[];
  /** Those with most tokens first. */
  readonly holders: readonly {
    /** null: kept for the principal, by no process. */
    readonly pid: Pid | null;
    readonly name: string;
    readonly principal: string;
    readonly contexts: number;
    readonly tokens: number;
    /** Of these, in slots. */
    readonly resident: number;
    readonly pinnedPages: number;
  }[];
  /** Bytes that all drivers together may take, and that those that run do. */
  readonly memoryBudget: number;
  readonly memoryUsed: number;
}

/** `os.sys` */
export class Sys {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async uname(options?: CallOptions): Promise<Uname> {
    const wire = await request(this.#session, { name: "uname", args: {} }, options);
    return {
      kernelVersion: wire.kernelVersion,
      abi: wire.abi,
      node: wire.node,
      engineDigest: wire.engineDigest,
      model: wire.model,
      driver: wire.driver as Uname["driver"],
      uptimeMs: toMs(wire.uptimeUs),
      daemonPid: wire.daemonPid,
      driverPid: wire.driverPid,
    };
  }

  async stats(options?: CallOptions): Promise<Stats> {
    const result = await request(this.#session, { name: "stats", args: {} }, options);
    const { stepUs, timeBoundsUs: _, ...wire } = result;
    return {
      ...wire,
      ...toTimes(result),
      queue: wire.queue.map(toQueue),
      tokensPrefilled: Number(wire.tokensPrefilled),
      tokensDecoded: Number(wire.tokensDecoded),
      tokensGenerated: Number(wire.tokensGenerated),
      tokensRecomputed: Number(wire.tokensRecomputed),
      steps: Number(wire.steps),
      stepMs: toMs(stepUs),
      contextSwitches: Number(wire.contextSwitches),
      pagesMemory: Number(wire.pagesMemory),
      pagesMemoryUsed: Number(wire.pagesMemoryUsed),
      pagesSwap: Number(wire.pagesSwap),
      pagesSwapUsed: Number(wire.pagesSwapUsed),
      pagesSaved: Number(wire.pagesSaved),
      pagesLoaded: Number(wire.pagesLoaded),
      pagesWritten: Number(wire.pagesWritten),
      pagesRead: Number(wire.pagesRead),
      pagesBad: Number(wire.pagesBad),
      swapErrors: Number(wire.swapErrors),
      pagesRefused: Number(wire.pagesRefused),
      pagesMemoryEvicted: Number(wire.pagesMemoryEvicted),
      pagesSwapEvicted: Number(wire.pagesSwapEvicted),
      pagesDropped: Number(wire.pagesDropped),
      syscalls: Number(wire.syscalls),
      denied: Number(wire.denied),
      memoryBudget: Number(wire.memoryBudget),
      memoryUsed: Number(wire.memoryUsed),
      denials: wire.denials.map(({ result, calls }) => ({ result, calls: Number(calls) })),
      door: wire.door.map(toDoor),
      slot: wire.slot.map((slot) => ({
        ...slot,
        pid: showIdOrNull(slot.pid),
        cid: showIdOrNull(slot.cid),
        phase: slot.phase as SlotInfo["phase"],
      })),
    };
  }

  /** Who holds the slots by which policy, and who waits. */
  async sched(options?: CallOptions): Promise<Sched> {
    const wire = await request(this.#session, { name: "sched", args: {} }, options);
    return {
      ...wire,
      queues: wire.queues.map(({ retryUs, classes, ...queue }) => ({
        ...queue,
        classes: classes.map((one) => ({ ...one, class: one.class as ProcInfo["class"] })),
        decisions: Number(queue.decisions),
        contextSwitches: Number(queue.contextSwitches),
        refused: Number(queue.refused),
        retryMs: toMs(retryUs),
      })),
    };
  }

  /**
   * Another policy, quantum or share from the next step on; an administrator's.
   *
   * @example
   * await os.sys.schedSet({ policy: "fair", weights: [{ principal: "bob", weight: 3 }] });
   */
  async schedSet(change: SchedChange, options?: CallOptions): Promise<void> {
    const { policy = "", quantum, weights = [] } = change;
    const args = {
      policy: checkText("policy", policy),
      quantum: quantum === undefined ? 0 : checkCount("quantum", quantum, 1),
      weights: weights.map(({ principal, weight }) => ({
        principal: checkText("weights.principal", principal),
        weight: checkCount("weights.weight", weight, 1),
      })),
    };
    await request(this.#session, { name: "schedSet", args }, options);
  }

  /** What this process and its principal may have, and have. */
  async limits(options?: CallOptions): Promise<Limit[]> {
    const { limits } = await request(this.#session, { name: "limits", args: {} }, options);
    return limits.map(({ quota, of, unlimited, limit, used }) => ({
      ...{ quota, of: of as Limit["of"], used: Number(used) },
      limit: unlimited ? Number.POSITIVE_INFINITY : Number(limit),
    }));
  }

  /**
   * Writes a line to this process's log: the file that `contix logs` shows, or the daemon's
   * log for a program that the kernel did not start.
   *
   * @example
   * await os.sys.log("indexed", { level: "debug", fields: { files: 12 } });
   */
  async log(
    message: string,
    options: CallOptions & {
      readonly level?: "debug" | "info" | "warn" | "error" | undefined;
      readonly fields?: Readonly<Record<string, unknown>> | undefined;
    } = {},
  ): Promise<void> {
    const { level = "info", fields } = options;
    const args = {
      level: checkText("level", level),
      message: checkText("message", message),
      fields: fields === undefined ? "" : JSON.stringify(fields),
    };
    await request(this.#session, { name: "log", args }, options);
  }

  /** What there is of memory for contexts, and who has it: the `top` holders, 10 by default. */
  async free(options: CallOptions & { readonly top?: number | undefined } = {}): Promise<Memory> {
    const args = { top: checkCount("top", options.top ?? 0) };
    const wire = await request(this.#session, { name: "free", args }, options);
    return {
      models: wire.models.map((model) => ({
        ...model,
        tiers: model.tiers.map(toTier),
        contextTokens: Number(model.contextTokens),
        tokensEntered: Number(model.tokensEntered),
        tokensRecomputed: Number(model.tokensRecomputed),
        pagesAsked: Number(model.pagesAsked),
        pagesFound: Number(model.pagesFound),
        pagesBad: Number(model.pagesBad),
        swapErrors: Number(model.swapErrors),
        pagesRefused: Number(model.pagesRefused),
      })),
      holders: wire.holders.map((holder) => ({
        ...holder,
        pid: showIdOrNull(holder.pid),
        tokens: Number(holder.tokens),
      })),
      memoryBudget: Number(wire.memoryBudget),
      memoryUsed: Number(wire.memoryUsed),
    };
  }
}

function toTier({ name, places, used, bytes, bytesUsed, evicted }: WireTier): Tier {
  const size = {
    bytes: Number(bytes),
    bytesUsed: Number(bytesUsed),
    evicted: Number(evicted),
  };
  return { name: name as Tier["name"], places, used, ...size };
}
