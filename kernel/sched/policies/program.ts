/**
 * Least attained service of the whole agent program (PLAS of Autellix, Luo et al. 2025).
 *
 * A program is many calls, and what its user waits for is the last of them. Which program is
 * nearly done is not known; but work is spread unevenly enough that one which has had little
 * service will need little more than one which has had much. So those that had least go
 * first: a call of a young program before the hundredth of an old one, however short.
 *
 * - Service is what was entered and generated for any call of a program, in tokens
 *   generated; what the schedule threw away and computed again does not count. What a call has
 *   to enter is known when it comes, and counts from then on: most calls of agents generate
 *   little, and are as long as what they give is new. How much they generate nobody knows.
 * - It is cut into levels, each twice as wide as the one before, so that programs of about
 *   the same service do not take each other's slot all the time. Within a level the program
 *   that came first goes first, and so gets done: taking turns would make all of them late.
 * - A level above takes the slot when the turn of who has it is over, and so does, on the last
 *   level, where programs without end are, whoever waits there. Most calls are over within a
 *   turn: to interrupt them costs more than it gains.
 * - Nobody starves: a program that has waited STARVED times as long as it was served, and as
 *   what it has to enter will take, goes before all levels, who has been due longest first;
 *   then it counts from zero again. So who asks for much is patient.
 * - While a program has no call its service is forgotten, by half in HALF_LIFE_US
 *   (docs/decisions/0025): a tool takes seconds, and what comes then is more of the same; a
 *   person takes minutes, and what was done before says nothing of what comes.
 */
import { Entry, Heap } from "../../heap.js";
import { Account, type BurstView, costOf, type Policy } from "../policy.js";
import { Prepaid } from "../prepaid.js";

/** Width of the first level, in tokens generated. */
const FIRST = 16;
const LEVELS = 16;
const LAST = LEVELS - 1;
/** Waiting over service, had and known to come, from which a program goes first. */
const STARVED = 10;
/** Less service than this is as much as this, microseconds. */
const LEAST_US = 3_000_000;
const HALF_LIFE_US = 30_000_000;
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

  /** So much more is charged; below 0: given back. */
  serve(cost: number): void {
    this.service = Math.max(0, this.service + cost);
    if (cost < 0 || this.service >= this.next) this.grade();
  }

  /** It has asked for nothing so long. */
  fade(idleUs: number): void {
    const rest = 0.5 ** (Math.max(0, idleUs) / HALF_LIFE_US);
    this.service *= rest;
    this.waitedUs *= rest;
    this.servedUs *= rest;
    this.grade();
  }

  /** How much longer it waits before it is starved, microseconds. @param comesUs of service */
  patienceUs(comesUs: number): number {
    return Math.max(0, STARVED * Math.max(LEAST_US, this.servedUs + comesUs) - this.waitedUs);
  }
}

/** @param quantum tokens of a turn */
export function program(quantum: number): Policy {
  const programs = new Map<bigint, Program>();
  /** Those without calls, of which least is left first. */
  const idle = new Heap<Program>();
  const prepaid = new Prepaid();
  let arrivals = 0;
  /** What all were served, in tokens generated, and the time in slots that it took. */
  let [servedCost, servedUs] = [0, 0];

  /** How much longer it waits before it goes first, microseconds. */
  function patienceOf(burst: BurstView): number {
    const usEach = servedCost === 0 ? 0 : servedUs / servedCost;
    return of(burst).patienceUs(prepaid.of(burst) * usEach);
  }

  const policy: Policy = {
    name: "program",
    quantum,
    preemptive: true,
    entered(burst, now) {
      const { program: id } = burst.spec;
      let it = programs.get(id);
      if (!it) {
        it = new Program(id, ++arrivals);
        programs.set(id, it);
      } else if (it.calls === 0) {
        idle.remove(it.entry);
        it.fade(now - it.idleSince);
      }
      it.calls++;
      it.serve(prepaid.charge(burst, burst.missing));
      return it;
    },
    place(burst) {
      return { key: 0, group: of(burst), dueAt: burst.readySince + patienceOf(burst) };
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
      if (!granted || patienceOf(burst) > 0) return;
      it.waitedUs = 0;
      it.servedUs = 0;
    },
    ran(burst, us) {
      of(burst).servedUs += us;
      servedUs += us;
    },
    served(burst, service) {
      servedCost += costOf(service);
      of(burst).serve(prepaid.settle(burst, service));
    },
    over(burst, now) {
      const it = of(burst);
      it.serve(-prepaid.refund(burst));
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
