/** What `contix top` and `contix vmstat` ask the kernel each time, and what two answers say together. */
import type { ModelInfo, Os, ProcInfo, Sched, Stats, Uname } from "../../syscalls/index.js";

/** The kernel at one moment. */
export interface Reading {
  /** A monotonic clock of this process, milliseconds. */
  readonly at: number;
  readonly uname: Uname;
  readonly stats: Stats;
  readonly sched: Sched;
  readonly models: readonly ModelInfo[];
  readonly procs: readonly ProcInfo[];
}

/** A process, and what it did a second since the reading before. */
export interface Row extends ProcInfo {
  /** Tokens generated. */
  readonly tokensPerSecond: number;
}

/** Per second, between two readings. */
export interface Rates {
  readonly prefilled: number;
  readonly decoded: number;
  readonly generated: number;
  readonly recomputed: number;
  readonly steps: number;
  readonly switches: number;
  readonly syscalls: number;
  readonly denied: number;
  /** Pages: into slots from RAM, out of slots to RAM, out of the swap file, into it. */
  readonly pagesIn: number;
  readonly pagesOut: number;
  readonly swapIn: number;
  readonly swapOut: number;
}

/** Two readings as one page shows them. */
export interface Sample extends Omit<Reading, "procs"> {
  readonly rates: Rates;
  readonly rows: readonly Row[];
}

export interface Asked {
  /** Also processes that have ended. */
  readonly all: boolean;
  readonly signal: AbortSignal;
}

/** All there is to see but the process that asks: it is gone before anyone reads of it. */
export async function read(os: Os, { all, signal }: Asked): Promise<Reading> {
  const [uname, stats, sched, models, procs] = await Promise.all([
    os.sys.uname({ signal }),
    os.sys.stats({ signal }),
    os.sys.sched({ signal }),
    os.llm.models({ signal }),
    os.proc.ps({ all, signal }),
  ]);
  const others = procs.filter(({ pid }) => pid !== os.pid);
  return { at: performance.now(), uname, stats, sched, models, procs: others };
}

/** `now`, and its rates since `before`; without one, or after another kernel's, they are 0. */
export function sampleOf(now: Reading, before: Reading | undefined): Sample {
  const { procs, ...rest } = now;
  const same = before?.uname.daemonPid === now.uname.daemonPid ? before : undefined;
  return {
    ...rest,
    rates: ratesOf(now.stats, same?.stats, now.at - (same?.at ?? now.at)),
    rows: rowsOf(now, same),
  };
}

/** Which counter each rate is the growth of. */
const COUNTERS = {
  prefilled: "tokensPrefilled",
  decoded: "tokensDecoded",
  generated: "tokensGenerated",
  recomputed: "tokensRecomputed",
  steps: "steps",
  switches: "contextSwitches",
  syscalls: "syscalls",
  denied: "denied",
  pagesIn: "pagesLoaded",
  pagesOut: "pagesSaved",
  swapIn: "pagesRead",
  swapOut: "pagesWritten",
} as const satisfies Readonly<Record<keyof Rates, keyof Stats>>;

/** The rates of counters that were read `ms` apart; 0 without a reading before. */
export function ratesOf(now: Stats, before: Stats | undefined, ms: number): Rates {
  return rates((counter) => (before ? now[counter] - before[counter] : 0), ms);
}

/** The rates of a kernel since its start, which was `uptimeMs` ago. */
export function sinceStart(now: Stats, uptimeMs: number): Rates {
  return rates((counter) => now[counter], uptimeMs);
}

type Counter = (typeof COUNTERS)[keyof Rates];

function rates(growth: (counter: Counter) => number, ms: number): Rates {
  const entries = Object.entries(COUNTERS).map(([rate, counter]) => [
    rate,
    perSecond(growth(counter), ms),
  ]);
  return Object.fromEntries(entries) as Rates;
}

function rowsOf({ procs, at }: Reading, before: Reading | undefined): Row[] {
  const then = new Map(before?.procs.map((proc) => [proc.pid, proc.tokensOut]));
  return procs.map((proc) => {
    const out = proc.tokensOut - (then.get(proc.pid) ?? proc.tokensOut);
    return { ...proc, tokensPerSecond: perSecond(out, at - (before?.at ?? at)) };
  });
}

/** Counters only grow; a model whose driver was started anew may begin again. */
function perSecond(difference: number, ms: number): number {
  return ms > 0 ? Math.max(0, (difference * 1000) / ms) : 0;
}
