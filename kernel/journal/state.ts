/**
 * The kernel's state and the fold that makes it from records. Readers see it
 * read-only; `apply` is the only code that changes it.
 */

import type { Paging } from "../mm/overflow/segments.js";
import {
  applySupervision,
  emptySupervision,
  type SupervisionState,
} from "../proc/supervise/fold.js";
import { applyCap, type CapabilityState } from "./fold-caps.js";
import { applyContext, noteGeneration } from "./fold-contexts.js";
import { applyIpc, emptyIpc, type IpcState, type Mailbox } from "./fold-ipc.js";
import { applyPrincipal, type KeyState, type PrincipalState } from "./fold-principals.js";
import { applyProcess, type Budget, type ProcessClass, type Program } from "./fold-procs.js";
import { applySched, type SchedState } from "./fold-sched.js";
import { applyTime, emptyTime, type TimeState } from "./fold-time.js";
import type { JournalRecord, LastGeneration, Need, Share, Tail } from "./records.js";

export interface ProcessState {
  readonly pid: bigint;
  /** 0, init, from the end of the process that spawned it on. */
  parent: bigint;
  readonly name: string;
  readonly principal: string;
  readonly spawned: boolean;
  /** It lives on another kernel, and stands here for what it uses of this one. */
  readonly guest: boolean;
  readonly log: string;
  readonly createdAt: number;
  /** The key that it, or who spawned it, attached with; "": none. */
  readonly key: string;
  /** The groups of calls that it may make; "*": all but admin. */
  readonly scopes: readonly string[];
  /** It ranks before the nice value. */
  readonly class: ProcessClass;
  /** The pids of the leaders of its group and of its session; they may be gone. */
  readonly group: bigint;
  readonly session: bigint;
  /** What the kernel started, and starts again; undefined: it was started elsewhere. */
  readonly program: Program | undefined;
  /** Quotas that bound it, its own first. */
  readonly budgets: readonly Budget[];
  nice: number;
  /** By STOP: until CONT it is not served. */
  stopped: boolean;
  run: number;
  tokenHash: string;
  resumeHash: string;
  exit: { readonly code: number; readonly cause: string; readonly at: number } | undefined;
  /** handle → capability. Handles are never reused within a process. */
  readonly handles: Map<number, bigint>;
  /** Those of its capabilities that are namespaces: through them it names objects by id. */
  readonly namespaces: Set<bigint>;
  nextHandle: number;
  /** Replies of this run that the caller has not acknowledged, by seq. */
  readonly results: Map<bigint, { readonly digest: string; readonly reply: Uint8Array }>;
  resultBytes: number;
  /** External calls of this run that have begun and were not answered, by seq: their digests. */
  readonly intents: Map<bigint, string>;
  ackedThrough: bigint;
  /** The highest seq of this run that was answered and recorded. */
  lastSeq: bigint;
  /** Its inbox. */
  readonly mailbox: Mailbox;
  readonly holds: Holdings;
}

/** What the open contexts of a process, or of a principal, come to. */
export interface Holdings {
  contexts: number;
  /** Those that were moved out too. */
  tokens: number;
  /** Pages of its pinned contexts. */
  pinnedPages: number;
}

/** A stretch of tokens of one class, from `start` to the next run's start. */
export interface Run {
  readonly start: number;
  readonly given: boolean;
}

/** Where an input ended, and what then stood at the context's end. */
export interface Seam {
  readonly at: number;
  readonly tail: Tail;
}

export interface ContextState {
  readonly cid: bigint;
  /** 0: no process; it is kept for its principal. */
  owner: bigint;
  /** Its handle in its owner. 0: the context of one call, or kept. */
  handle: number;
  /** The root of its tree of capabilities, its owner's; 0: the context of one call. */
  cap: bigint;
  readonly principal: string;
  readonly model: string;
  readonly engine: string;
  readonly createdAt: number;
  readonly ttlUs: number;
  /** The context that it was forked from; 0: none. */
  readonly from: bigint;
  readonly tokens: number[];
  /** Alternating classes: two neighbours never have the same. */
  readonly runs: Run[];
  /** In rising order: what a cut finds at its end. */
  readonly seams: Seam[];
  tail: Tail;
  share: Share;
  pinned: boolean;
  /** What its owner last said of its next use; a generation ends it. */
  advice: { readonly need: Need; readonly pauseUs: number; readonly at: number } | undefined;
  last: LastGeneration | undefined;
  readonly paging: Paging;
}

export interface State {
  readonly processes: Map<bigint, ProcessState>;
  readonly contexts: Map<bigint, ContextState>;
  /** By principal: processes that have a place (`hasPlace`), without those that live on other kernels. */
  readonly places: Map<string, number>;
  /** By principal, of those that hold contexts. */
  readonly holdings: Map<string, Holdings>;
  readonly principals: Map<string, PrincipalState>;
  /** By principal: tokens that its contexts were given and that were generated, in all. */
  readonly spent: Map<string, number>;
  /** API keys by their id. */
  readonly keys: Map<string, KeyState>;
  readonly caps: Map<bigint, CapabilityState>;
  /** Capabilities by what they name. */
  readonly capsOn: Map<string, Set<bigint>>;
  /** Mailboxes with a name, requests, topics, pipes, locks, barriers. */
  readonly ipc: IpcState;
  /** Alarms and schedules. */
  readonly time: TimeState;
  /** What an operator chose instead of what is configured. */
  readonly sched: SchedState;
  /** Groups of programs that are started again when they end. */
  readonly supervision: SupervisionState;
  /** The last counter used of each kind of id, so that none is used twice. */
  readonly counters: { pid: number; cid: number; mail: number; cap: number };
}

export function emptyState(): State {
  return {
    processes: new Map(),
    contexts: new Map(),
    places: new Map(),
    holdings: new Map(),
    principals: new Map(),
    spent: new Map(),
    keys: new Map(),
    caps: new Map(),
    capsOn: new Map(),
    ipc: emptyIpc(),
    time: emptyTime(),
    sched: { policy: undefined, quantum: undefined, weights: new Map() },
    supervision: emptySupervision(),
    counters: { pid: 0, cid: 0, mail: 0, cap: 0 },
  };
}

/** The counter in an id. */
export const COUNTER = (1n << 52n) - 1n;

/** Applies one record. Records about what is gone (a closed context) change nothing. */
export function apply(state: State, record: JournalRecord): void {
  if (isOf(record, "cap.")) applyCap(state, record);
  else if (isOf(record, "principal.") || isOf(record, "key.")) applyPrincipal(state, record);
  else if (isOf(record, "proc.")) applyProcess(state, record);
  else if (isOf(record, "ctx.")) applyContext(state, record);
  else if (isOf(record, "call.")) applyCall(state, record);
  else if (isOf(record, "supervise.")) applySupervision(state, record);
  else if (isOf(record, "sched.")) applySched(state, record);
  else if (isOf(record, "alarm.") || isOf(record, "schedule.")) applyTime(state, record);
  else applyIpc(state, record);
}

function isOf<P extends string>(
  record: JournalRecord,
  prefix: P,
): record is Extract<JournalRecord, { type: `${P}${string}` }> {
  return record.type.startsWith(prefix);
}

function applyCall(state: State, record: Extract<JournalRecord, { type: `call.${string}` }>): void {
  const process = state.processes.get(record.pid);
  if (!process || process.run !== record.run) return;
  if (record.type === "call.generate") noteGeneration(state, record);
  else if (record.type === "call.intent") {
    if (!process.exit) process.intents.set(record.seq, record.digest);
  } else if (record.type === "call.done") {
    process.intents.delete(record.seq);
    if (record.seq > process.lastSeq) process.lastSeq = record.seq;
    // Acknowledged before it was done: nobody will ask for it again.
    if (process.exit || record.seq <= process.ackedThrough) return;
    // The first result of a name stays its result (law 4).
    if (process.results.has(record.seq)) return;
    process.results.set(record.seq, { digest: record.digest, reply: record.reply });
    process.resultBytes += record.reply.length;
  } else if (record.type === "call.acked") {
    for (const seq of process.results.keys()) {
      if (seq <= record.through) forgetResult(process, seq);
    }
    for (const seq of process.intents.keys()) {
      if (seq <= record.through) process.intents.delete(seq);
    }
    for (const seq of record.also) forgetResult(process, seq);
    if (record.through > process.ackedThrough) process.ackedThrough = record.through;
  }
}

function forgetResult(process: ProcessState, seq: bigint): void {
  process.resultBytes -= process.results.get(seq)?.reply.length ?? 0;
  process.results.delete(seq);
}
