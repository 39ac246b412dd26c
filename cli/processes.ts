/** Processes as commands list them: what they can be sorted by, and their tree. */
import type { ProcInfo } from "../syscalls/index.js";

/** Numbers: the largest first; texts: from A; pids and groups: as they were given out. */
const KEYS = {
  pid: ({ pid }: ProcInfo) => -counterOf(pid),
  name: ({ name }: ProcInfo) => name,
  principal: ({ principal }: ProcInfo) => principal,
  state: ({ state }: ProcInfo) => state,
  on: ({ waitingOn }: ProcInfo) => waitingOn,
  class: (proc: ProcInfo) => proc.class,
  nice: ({ nice }: ProcInfo) => -nice,
  slot: ({ slot }: ProcInfo) => slot ?? -1,
  in: ({ tokensIn }: ProcInfo) => tokensIn,
  out: ({ tokensOut }: ProcInfo) => tokensOut,
  wait: ({ waitingMs }: ProcInfo) => waitingMs,
  queued: ({ queuedMs }: ProcInfo) => queuedMs,
  served: ({ servedMs }: ProcInfo) => servedMs,
  age: ({ ageMs }: ProcInfo) => ageMs,
  calls: ({ syscalls }: ProcInfo) => syscalls,
  mail: ({ mail }: ProcInfo) => mail,
  pages: ({ pages }: ProcInfo) => pages,
  ram: ({ pagesInMemory }: ProcInfo) => pagesInMemory,
  swap: ({ pagesSwapped }: ProcInfo) => pagesSwapped,
  group: ({ group }: ProcInfo) => -counterOf(group),
  session: ({ session }: ProcInfo) => -counterOf(session),
  model: ({ models }: ProcInfo) => models.join(),
} as const;

export type ProcessKey = keyof typeof KEYS;

export const PROCESS_KEYS = Object.keys(KEYS) as readonly ProcessKey[];

/** In a new array; equals by their pid. */
export function orderProcesses<P extends ProcInfo>(
  procs: readonly P[],
  key: ProcessKey,
  reverse: boolean,
): P[] {
  return orderBy(procs, KEYS[key], reverse);
}

/** The same by whatever `by` says. */
export function orderBy<P extends ProcInfo>(
  procs: readonly P[],
  by: (proc: P) => number | string,
  reverse: boolean,
): P[] {
  return [...procs].sort((a, b) => {
    const [x, y] = [by(a), by(b)];
    const first =
      typeof x === "number" && typeof y === "number" ? y - x : compare(String(x), String(y));
    return (reverse ? -first : first) || counterOf(a.pid) - counterOf(b.pid);
  });
}

/** A process in a tree of them, and the lines that lead to it. */
export interface Leaf<P> {
  readonly proc: P;
  /** Such as `│ └─ `; "" for a root. */
  readonly branch: string;
}

/** Each process under its parent, siblings as they come; one whose parent is not there is a root. */
export function treeOf<P extends ProcInfo>(procs: readonly P[]): Leaf<P>[] {
  const there = new Set(procs.map(({ pid }) => pid));
  const under = new Map<string, P[]>();
  for (const proc of procs) {
    const parent = proc.parent !== null && there.has(proc.parent) ? proc.parent : "";
    under.set(parent, [...(under.get(parent) ?? []), proc]);
  }
  const leaves: Leaf<P>[] = [];
  // By a stack and not by recursion: a chain of processes may be as long as it likes.
  const open = [...(under.get("") ?? [])].reverse().map((proc) => ({ proc, lead: "", branch: "" }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { proc, lead, branch } = next;
    leaves.push({ proc, branch: lead + branch });
    const below = lead + (branch === "" ? "" : branch === LAST ? "   " : "│  ");
    const children = under.get(proc.pid) ?? [];
    for (const [i, child] of [...children].reverse().entries()) {
      open.push({ proc: child, lead: below, branch: i === 0 ? LAST : "├─ " });
    }
  }
  return leaves;
}

const LAST = "└─ ";

/** The counter of `n1.17`: in the order in which processes were made. */
export function counterOf(id: string): number {
  return Number(id.slice(id.indexOf(".") + 1));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
