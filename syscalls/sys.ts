/** The kernel itself. */
import type { Tier as WireTier } from "../proto/gen/contix/v1/calls.js";
import { checkCount } from "./check.js";
import { type Cid, type Pid, showIdOrNull } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
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
  readonly slot: readonly SlotInfo[];
  /** Bytes that all drivers together may take, and that those that run do. */
  readonly memoryBudget: number;
  readonly memoryUsed: number;
}

export interface SlotInfo {
  readonly slot: number;
  /** The process whose context is in it; null when it is free. */
  readonly pid: Pid | null;
  readonly cid: Cid | null;
  readonly tokens: number;
  readonly phase: "prefill" | "decode" | "idle";
  /** Whose driver's slot it is: each model counts its slots from 0. */
  readonly model: string;
}

/** A place for KV: the slots of the driver, its pages in RAM, its swap file. */
export interface Tier {
  readonly name: "slots" | "memory" | "swap";
  /** Slots, or pages of 16 tokens. */
  readonly places: number;
  readonly used: number;
  readonly bytes: number;
  readonly bytesUsed: number;
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
    const { uptimeUs, driver, ...rest } = await request(
      this.#session,
      { name: "uname", args: {} },
      options,
    );
    return { ...rest, driver: driver as Uname["driver"], uptimeMs: toMs(uptimeUs) };
  }

  async stats(options?: CallOptions): Promise<Stats> {
    const { stepUs, ...wire } = await request(this.#session, { name: "stats", args: {} }, options);
    return {
      ...wire,
      tokensPrefilled: Number(wire.tokensPrefilled),
      tokensDecoded: Number(wire.tokensDecoded),
      tokensGenerated: Number(wire.tokensGenerated),
      tokensRecomputed: Number(wire.tokensRecomputed),
      steps: Number(wire.steps),
      stepMs: toMs(stepUs),
      contextSwitches: Number(wire.contextSwitches),
      syscalls: Number(wire.syscalls),
      denied: Number(wire.denied),
      memoryBudget: Number(wire.memoryBudget),
      memoryUsed: Number(wire.memoryUsed),
      slot: wire.slot.map((slot) => ({
        ...slot,
        pid: showIdOrNull(slot.pid),
        cid: showIdOrNull(slot.cid),
        phase: slot.phase as SlotInfo["phase"],
      })),
    };
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

function toTier({ name, places, used, bytes, bytesUsed }: WireTier): Tier {
  const size = { bytes: Number(bytes), bytesUsed: Number(bytesUsed) };
  return { name: name as Tier["name"], places, used, ...size };
}
