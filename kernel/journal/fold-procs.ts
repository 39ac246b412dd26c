/**
 * The fold's part for processes: what each is born with, its runs, and its end.
 *
 * A process group is what `kill` of a group reaches; a session is a whole program: all
 * that one start by an operator, or one program that attached from elsewhere, came to.
 * Both are named by the pid of their leader, and outlive it.
 */
import { closeAllCaps, endObject } from "./fold-caps.js";
import { emptyInbox } from "./fold-ipc.js";
import { hold, sizeOf } from "./fold-mail.js";
import { COUNTER, type Holdings, type ProcessState, type State } from "./state.js";

/** How the scheduler ranks processes before it looks at their nice values. */
export const CLASSES = ["realtime", "interactive", "batch"] as const;
export type ProcessClass = (typeof CLASSES)[number];

/** What the OS process of a program is held to. 0: no limit. */
export interface Confinement {
  readonly memoryBytes: number;
  readonly cpuUs: number;
  readonly openFiles: number;
  /** A Node program that runs under Node's permissions. */
  readonly permission: boolean;
  /** Paths that it may then read, and write. */
  readonly read: readonly string[];
  readonly write: readonly string[];
}

/** What it takes to start a program: anew, when its process is restarted. */
export interface Program {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly confinement: Confinement;
}

/**
 * A quota that a process was born with, and what it and all that it spawned use of it: the
 * same object is in the list of each of them, and outlives its process in those of others.
 */
export interface Budget {
  readonly of: bigint;
  readonly quota: Readonly<Record<string, number>>;
  /** Given and generated, in all. */
  spent: number;
  /** Those that have a place: `hasPlace`. */
  processes: number;
  /** Bytes in their inboxes, and in the mailboxes and pipes that they opened. */
  mailBytes: number;
  readonly holds: Holdings;
}

export type ProcRecord =
  | {
      type: "proc.created";
      pid: bigint;
      parent: bigint;
      name: string;
      principal: string;
      nice: number;
      /** Spawned by the kernel, as opposed to started elsewhere and attached. */
      spawned: boolean;
      log: string;
      at: number;
      /** The key that it, or who spawned it, attached with; "" or missing: none. */
      key?: string;
      /** The groups of calls that it may make; missing: all. */
      scopes?: readonly string[];
      /** "interactive" when missing. */
      class?: ProcessClass;
      /** Its own pid when missing. */
      group?: bigint;
      session?: bigint;
      /** Of a spawned one. */
      program?: Program | undefined;
      /** It lives on another kernel, and stands here for what it uses of this one. */
      guest?: boolean;
      /** What it and all that it spawns may use. */
      quota?: Readonly<Record<string, number>> | undefined;
    }
  | { type: "proc.run"; pid: bigint; run: number; tokenHash: string; resumeHash: string }
  | { type: "proc.niced"; pid: bigint; nice: number }
  /** Somebody stopped it, or let it go on. */
  | { type: "proc.stopped"; pid: bigint; stopped: boolean }
  | { type: "proc.exited"; pid: bigint; code: number; cause: string; at: number }
  | { type: "proc.reaped"; pid: bigint };

/** The parent of whoever has none: the kernel. */
export const INIT = 0n;

/** What a process may do when its record does not say: everything. */
const ALL_SCOPES: readonly string[] = ["*", "admin"];

/** Applies a record of a process. Records about who is gone change nothing. */
export function applyProcess(state: State, record: ProcRecord): void {
  if (record.type === "proc.created") {
    create(state, record);
    return;
  }
  const process = state.processes.get(record.pid);
  if (!process) return;
  switch (record.type) {
    case "proc.run":
      // Who is over does not run again, whatever the order of records says.
      if (!process.exit) beginRun(process, record);
      break;
    case "proc.niced":
      process.nice = record.nice;
      break;
    case "proc.stopped":
      process.stopped = record.stopped && !process.exit;
      break;
    case "proc.exited":
      process.stopped = false;
      if (!process.exit) closeInbox(state, process);
      orphan(state, record.pid);
      if (!process.exit && !hasLivingParent(state, process)) forsake(state, process);
      process.exit = { code: record.code, cause: record.cause, at: record.at };
      process.tokenHash = "";
      process.resumeHash = "";
      forgetResults(process);
      closeAllCaps(state, process);
      break;
    case "proc.reaped":
      if (hasPlace(state, process)) leavePlace(state, process);
      endObject(state, { type: "process", id: record.pid });
      if (!process.exit) {
        closeInbox(state, process);
        orphan(state, record.pid);
      }
      state.processes.delete(record.pid);
      break;
  }
}

/** It is alive no more: its inbox is gone, and takes nobody's room. */
function closeInbox(state: State, { mailbox }: ProcessState): void {
  hold(state.ipc, mailbox, -sizeOf(mailbox));
  mailbox.mails.length = 0;
  mailbox.bytes = 0;
}

function countPlace({ places }: State, principal: string, by: 1 | -1): void {
  const now = (places.get(principal) ?? 0) + by;
  if (now > 0) places.set(principal, now);
  else places.delete(principal);
}

/** Its own, if it was given one, and those that bound its parent. */
function budgetsOf(
  state: State,
  { pid, parent, quota }: Extract<ProcRecord, { type: "proc.created" }>,
): Budget[] {
  const holds = { contexts: 0, tokens: 0, pinnedPages: 0 };
  const own = quota ? [{ of: pid, quota, spent: 0, processes: 0, mailBytes: 0, holds }] : [];
  const budgets = [...own, ...(state.processes.get(parent)?.budgets ?? [])];
  for (const budget of budgets) budget.processes++;
  return budgets;
}

/** Its children are init's: the kernel's own, which waits for nobody and forgets them in time. */
function orphan(state: State, parent: bigint): void {
  for (const child of state.processes.values()) {
    if (child.parent !== parent) continue;
    if (child.exit) forsake(state, child);
    else child.parent = INIT;
  }
}

/** It is over, and nobody will wait for it. */
function forsake(state: State, process: ProcessState): void {
  process.parent = INIT;
  leavePlace(state, process);
}

/**
 * Whether the process has a place among those that there may be: it is alive, or dead and its
 * living parent has not waited for it. Whoever starts programs and never asks how they ended
 * fills the table as one who starts programs that stay.
 */
export function hasPlace(state: Table, process: Kin): boolean {
  return !process.exit || hasLivingParent(state, process);
}

/** Of a process what its place depends on, and where to look its parent up. */
type Kin = Readonly<Pick<ProcessState, "exit" | "parent">>;
interface Table {
  readonly processes: { get(pid: bigint): Kin | undefined };
}

function hasLivingParent({ processes }: Table, { parent }: Kin): boolean {
  const found = processes.get(parent);
  return found !== undefined && !found.exit;
}

function leavePlace(state: State, { budgets, guest, principal }: ProcessState): void {
  for (const budget of budgets) budget.processes--;
  if (!guest) countPlace(state, principal, -1);
}

/** Forgets the results that wait to be acknowledged. */
export function forgetResults(process: ProcessState): void {
  process.results.clear();
  process.intents.clear();
  process.resultBytes = 0;
}

function create(state: State, record: Extract<ProcRecord, { type: "proc.created" }>): void {
  const { pid } = record;
  const { guest = false } = record;
  if (!guest) {
    state.counters.pid = Math.max(state.counters.pid, Number(pid & COUNTER));
    countPlace(state, record.principal, 1);
  }
  const budgets = budgetsOf(state, record);
  state.processes.set(pid, {
    pid,
    parent: record.parent,
    name: record.name,
    principal: record.principal,
    spawned: record.spawned,
    guest,
    log: record.log,
    createdAt: record.at,
    key: record.key ?? "",
    scopes: record.scopes ?? ALL_SCOPES,
    class: record.class ?? "interactive",
    group: record.group ?? pid,
    session: record.session ?? pid,
    program: record.program,
    budgets,
    nice: record.nice,
    stopped: false,
    run: 0,
    tokenHash: "",
    resumeHash: "",
    exit: undefined,
    handles: new Map(),
    namespaces: new Set(),
    nextHandle: 1,
    results: new Map(),
    resultBytes: 0,
    intents: new Map(),
    ackedThrough: 0n,
    lastSeq: 0n,
    mailbox: emptyInbox(pid, record.principal, budgets),
    holds: { contexts: 0, tokens: 0, pinnedPages: 0 },
  });
}

function beginRun(process: ProcessState, record: Extract<ProcRecord, { type: "proc.run" }>): void {
  if (record.run !== process.run) {
    forgetResults(process);
    process.ackedThrough = 0n;
    process.lastSeq = 0n;
  }
  process.run = record.run;
  process.tokenHash = record.tokenHash;
  process.resumeHash = record.resumeHash;
}
