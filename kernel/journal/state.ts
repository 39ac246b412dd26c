/**
 * The kernel's state and the fold that makes it from records. Readers see it
 * read-only; `apply` is the only code that changes it.
 */

import type { Paging } from "../mm/overflow/segments.js";
import { applyContext, noteGeneration } from "./fold-contexts.js";
import type { JournalRecord, LastGeneration, Need, Share, Tail } from "./records.js";

export interface ProcessState {
  readonly pid: bigint;
  readonly parent: bigint;
  readonly name: string;
  readonly principal: string;
  readonly spawned: boolean;
  readonly log: string;
  readonly createdAt: number;
  nice: number;
  run: number;
  tokenHash: string;
  resumeHash: string;
  exit: { readonly code: number; readonly cause: string; readonly at: number } | undefined;
  /** handle → cid. Handles are never reused within a process. */
  readonly handles: Map<number, bigint>;
  nextHandle: number;
  /** Replies of this run that the caller has not acknowledged, by seq. */
  readonly results: Map<bigint, { readonly digest: string; readonly reply: Uint8Array }>;
  resultBytes: number;
  ackedThrough: bigint;
  /** The highest seq of this run that was answered and recorded. */
  lastSeq: bigint;
  readonly mailbox: Mail[];
  mailboxBytes: number;
  readonly holds: Holdings;
}

/** What the open contexts of a process, or of a principal, come to. */
export interface Holdings {
  contexts: number;
  tokens: number;
  /** Pages of its pinned contexts. */
  pinnedPages: number;
}

export interface Mail {
  readonly id: bigint;
  readonly from: bigint;
  readonly topic: string;
  readonly body: Uint8Array;
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
  /** By principal, of those that hold contexts. */
  readonly principals: Map<string, Holdings>;
  /** The last counter used of each kind of id, so that none is used twice. */
  readonly counters: { pid: number; cid: number; mail: number };
}

export function emptyState(): State {
  return {
    processes: new Map(),
    contexts: new Map(),
    principals: new Map(),
    counters: { pid: 0, cid: 0, mail: 0 },
  };
}

/** The counter in an id. */
export const COUNTER = (1n << 52n) - 1n;

/** Applies one record. Records about what is gone (a closed context) change nothing. */
export function apply(state: State, record: JournalRecord): void {
  if (record.type.startsWith("proc.")) applyProcess(state, record);
  else if (record.type.startsWith("ctx.")) applyContext(state, record);
  else if (record.type.startsWith("call.")) applyCall(state, record);
  else applyMail(state, record);
}

function applyProcess(state: State, record: JournalRecord): void {
  if (record.type === "proc.created") {
    state.counters.pid = Math.max(state.counters.pid, Number(record.pid & COUNTER));
    state.processes.set(record.pid, {
      pid: record.pid,
      parent: record.parent,
      name: record.name,
      principal: record.principal,
      spawned: record.spawned,
      log: record.log,
      createdAt: record.at,
      nice: record.nice,
      run: 0,
      tokenHash: "",
      resumeHash: "",
      exit: undefined,
      handles: new Map(),
      nextHandle: 1,
      results: new Map(),
      resultBytes: 0,
      ackedThrough: 0n,
      lastSeq: 0n,
      mailbox: [],
      mailboxBytes: 0,
      holds: { contexts: 0, tokens: 0, pinnedPages: 0 },
    });
    return;
  }
  if (!("pid" in record)) return;
  const process = state.processes.get(record.pid);
  if (!process) return;
  switch (record.type) {
    case "proc.run":
      // Who is over does not run again, whatever the order of records says.
      if (process.exit) break;
      if (record.run !== process.run) {
        forgetResults(process);
        process.ackedThrough = 0n;
        process.lastSeq = 0n;
      }
      process.run = record.run;
      process.tokenHash = record.tokenHash;
      process.resumeHash = record.resumeHash;
      break;
    case "proc.niced":
      process.nice = record.nice;
      break;
    case "proc.exited":
      process.exit = { code: record.code, cause: record.cause, at: record.at };
      process.tokenHash = "";
      process.resumeHash = "";
      forgetResults(process);
      process.mailbox.length = 0;
      process.mailboxBytes = 0;
      break;
    case "proc.reaped":
      state.processes.delete(record.pid);
      break;
  }
}

function applyCall(state: State, record: JournalRecord): void {
  if (!("run" in record)) return;
  const process = state.processes.get(record.pid);
  if (!process || process.run !== record.run) return;
  if (record.type === "call.generate") noteGeneration(state, record);
  else if (record.type === "call.done") {
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
    for (const seq of record.also) forgetResult(process, seq);
    if (record.through > process.ackedThrough) process.ackedThrough = record.through;
  }
}

function forgetResults(process: ProcessState): void {
  process.results.clear();
  process.resultBytes = 0;
}

function forgetResult(process: ProcessState, seq: bigint): void {
  process.resultBytes -= process.results.get(seq)?.reply.length ?? 0;
  process.results.delete(seq);
}

function applyMail(state: State, record: JournalRecord): void {
  if (record.type === "mail.sent") {
    state.counters.mail = Math.max(state.counters.mail, Number(record.id & COUNTER));
    const { id, from, topic, body } = record;
    const to = state.processes.get(record.to);
    if (!to || to.exit) return;
    to.mailbox.push({ id, from, topic, body });
    to.mailboxBytes += body.length;
  } else if (record.type === "mail.taken") {
    const process = state.processes.get(record.pid);
    const at = process?.mailbox.findIndex((mail) => mail.id === record.id) ?? -1;
    const [mail] = at >= 0 ? (process?.mailbox.splice(at, 1) ?? []) : [];
    if (process && mail) process.mailboxBytes -= mail.body.length;
  }
}
