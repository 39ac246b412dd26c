/**
 * Least attained service of the whole agent program (PLAS of Autellix, Luo et al. 2025).
 *
 * A program is many calls, and what its user waits for is the last of them. Which program is
 * nearly done is not known; but work is spread unevenly enough that one which has had little
 * service will need little more than one which has had much. So those that had least go
 * first: a call of a young program before the hundredth of an old one, however short.
 *
 * - Service is what was entered and generated for any call of a program, in tokens
 *   generated; what the schedule threw away and computed again does not count.
 * - It is cut into levels, each twice as wide as the one before, so that programs of about
 *   the same service do not take each other's slot all the time. Within a level the program
 *   that came first goes first, and so gets done: taking turns would make all of them late.
 * - A level above takes the slot when the turn of who has it is over, and so does, on the last
 *   level, where programs without end are, whoever waits there. Most calls are over within a
 *   turn: to interrupt them costs more than it gains.
 * - Nobody starves: a program that has waited STARVED times as long as it was served goes
 *   before all levels, who has been due longest first; then it counts from zero again.
 * - While a program has no call its service is forgotten, by half in HALF_LIFE_US
 *   (docs/decisions/0025): a tool takes seconds, and what comes then is more of the same; a
 *   person takes minutes, and what was done before says nothing of what comes.
 */
import { Entry, Heap } from "../../heap.js";
import { Account, type BurstView, costOf, type Policy } from "../policy.js";

/** Width of the first level, in tokens generated. */
const FIRST = 64;
const LEVELS = 16;
const LAST = LEVELS - 1;
/** Waiting over service from which a program goes first. */
const STARVED = 10;
/** A program that was served less is as one that was served so long, microseconds. */
const LEAST_US = 3_000_000;
const HALF_LIFE_US = 20_000_000;
/** Programs without a call that are remembered; of more, those of whose service most is left. */
const REMEMBERED = 4096;
/** More programs than come. */
const RANKS = 2 ** 40;

class Program extends Account {
  /** In tokens generated. */
  service = 0;
  level = 0;
  /** Service with which it leaves its level. */
  next = FIRST;
  /** Calls that are not over. */
  calls = 0;
  idleSince = 0;
  /** Since it was last starved, of all its calls. */
  waitedUs = 0;
  servedUs = 0;

  /** Among those that have no call. */
  readonly entry: Entry<Program>;

  /** @param order who came first has the lower */
  constructor(
    readonly id: bigint,
    readonly order: number,
  ) {
    super();
    this.entry = new Entry<Program>(this, order);
    this.grade();
  }

  /** Finds its level. */
  grade(): void {
    const level = Math.min(LAST, Math.floor(Math.log2(this.service / FIRST + 1)));
    this.level = level;
    this.next = level === LAST ? Number.POSITIVE_INFINITY : FIRST * (2 ** (level + 1) - 1);
    this.key = level * RANKS + (level === LAST ? 0 : this.order);
  }

  /** It has asked for nothing so long. */
  fade(idleUs: number): void {
    const rest = 0.5 ** (Math.max(0, idleUs) / HALF_LIFE_US);
    this.service *= rest;
    this.waitedUs *= rest;
    this.servedUs *= rest;
    this.grade();
  }

  /** How much longer it waits before it is starved, microseconds. */
  get patienceUs(): number {
    return Math.max(0, STARVED * Math.max(LEAST_US, this.servedUs) - this.waitedUs);
  }
}

/** @param quantum tokens of a turn */
export function program(quantum: number): Policy {
  const programs = new Map<bigint, Program>();
  /** Those without calls, of which least is left first. */
  const idle = new Heap<Program>();
  let arrivals = 0;

  const policy: Policy = {
    name: "program",
    quantum,
    preemptive: true,
    entered({ spec: { program: id } }, now) {
      let it = programs.get(id);
      if (!it) {
        it = new Program(id, ++arrivals);
        programs.set(id, it);
      } else if (it.calls === 0) {
        idle.remove(it.entry);
        it.fade(now - it.idleSince);
      }
      it.calls++;
      return it;
    },
    place(burst) {
      const it = of(burst);
      return { key: 0, group: it, dueAt: burst.readySince + it.patienceUs };
    },
    compare(a, b) {
      const [one, other] = [of(a), of(b)];
      return one.level - other.level || one.order - other.order || a.order - b.order;
    },
    yields(burst, head) {
      if (burst.quantumUsed < policy.quantum) return false;
      const { level } = of(burst);
      const other = head.due ? -1 : of(head.burst).level;
      return level > other || (level === LAST && other === LAST);
    },
    left(burst, granted, waitedUs) {
      const it = of(burst);
      it.waitedUs += waitedUs;
      if (!granted || it.patienceUs > 0) return;
      it.waitedUs = 0;
      it.servedUs = 0;
    },
    ran(burst, servedUs) {
      of(burst).servedUs += servedUs;
    },
    served(burst, service) {
      const it = of(burst);
      it.service += costOf(service);
      if (it.service >= it.next) it.grade();
    },
    over(burst, now) {
      const it = of(burst);
      if (--it.calls > 0) return;
      it.idleSince = now;
      idle.set(it.entry, lastingOf(it));
      const { first } = idle;
      if (idle.size <= REMEMBERED || !first) return;
      idle.remove(first);
      programs.delete(first.item.id);
    },
  };
  return policy;
}

/**
 * Of two programs that are idle the one of which more is left now has more left at any time
 * to come: all fade alike. So this needs no clock.
 */
function lastingOf({ service, idleSince }: Program): number {
  return Math.log2(service) + idleSince / HALF_LIFE_US;
}

function of({ account }: BurstView): Program {
  if (account instanceof Program) return account;
  throw new Error("a burst that has not entered");
}
