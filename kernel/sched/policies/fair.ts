/**
 * Fair shares of principals: virtual token counters (VTC; Sheng et al., OSDI 2024).
 *
 * Each principal has a counter of what it was served, input and output tokens at their
 * costs, divided by its weight. Whose counter is least goes next; and while the counter of
 * one that runs is a quantum above that of one that waits, it gives way. So all who always
 * have something waiting are served alike, by weight, whatever they ask for; and when only
 * one does, all slots are his: nothing is held back for who is not there.
 *
 * - Who has had nothing waiting for a while comes back with a low counter. It is lifted to
 *   CREDIT quanta below the floor: the least counter of those that wait, or of who waited
 *   last; the floor never falls. So what one did not use is saved, but for so much: who asks
 *   for less than its share takes a slot at once from who asks for more (a quantum below is
 *   where that begins) and has it for a quantum. Lifted to the floor itself, as in VTC, it
 *   would have the greedy one's own counter when only that one waits, and wait for one of
 *   his answers. The counters of two that wait so differ by CREDIT + 1 quanta, and what they
 *   were served in any time by as much, and what was under way.
 * - Who is new has saved nothing and begins at the floor: or one who came under ever new
 *   names would be ahead of all others for ever.
 * - The input is charged when a burst first gets a slot, before it is computed, so that one
 *   principal does not take all slots that are free at once. What was found in the cache is
 *   given back with the first token.
 * - Within a principal in the order of arrival, a nice value being worth a second, as in
 *   `priority`.
 */
import { Entry, Heap } from "../../heap.js";
import { Account, type BurstView, type Policy } from "../policy.js";
import { Prepaid } from "../prepaid.js";

/** Waiting that is worth one nice value, microseconds. */
const AGING_US = 1_000_000;
/** Quanta below the floor at which who comes back begins. */
const CREDIT = 2;
/** Principals without a burst that are remembered; of more, those with the highest counters. */
const REMEMBERED = 4096;

/** Its key is its counter: service by weight, in tokens generated. */
class Principal extends Account {
  waiting = 0;
  /** Bursts that are not over. */
  bursts = 0;
  /** Among those that have somebody waiting, or among those that have no burst. */
  readonly entry: Entry<Principal>;

  constructor(
    readonly name: string,
    order: number,
  ) {
    super();
    this.entry = new Entry<Principal>(this, order);
  }
}

/**
 * @param quantum tokens of a turn, and what counters may differ by
 * @param weightOf the share of a principal, 1 if nobody says otherwise; above 0
 */
export function fair(quantum: number, weightOf: (principal: string) => number = () => 1): Policy {
  const principals = new Map<string, Principal>();
  const backlogged = new Heap<Principal>();
  const absent = new Heap<Principal>();
  const prepaid = new Prepaid();
  /** Backlogged ones whose counter is another than in the heap. */
  const charged = new Set<Principal>();
  let floor = 0;
  let arrivals = 0;

  /** @param last what counts when nobody waits */
  function raise(last: number): void {
    for (const it of charged) if (it.waiting > 0) backlogged.set(it.entry, it.key);
    charged.clear();
    floor = Math.max(floor, backlogged.first?.key ?? last);
  }

  function charge(it: Principal, cost: number): void {
    it.key += cost / weightOf(it.name);
    if (it.waiting > 0) charged.add(it);
  }

  const policy: Policy = {
    name: "fair",
    quantum,
    preemptive: true,
    entered({ spec: { principal } }) {
      let it = principals.get(principal);
      if (!it) {
        raise(floor);
        it = new Principal(principal, ++arrivals);
        it.key = floor;
        principals.set(principal, it);
      }
      if (it.bursts++ === 0) absent.remove(it.entry);
      return it;
    },
    place(burst) {
      const it = of(burst);
      if (it.waiting++ === 0) {
        raise(floor);
        it.key = Math.max(it.key, floor - CREDIT * policy.quantum);
        backlogged.set(it.entry, it.key);
      }
      return { key: burst.readySince + burst.nice * AGING_US, group: it };
    },
    compare: (a, b) => of(a).key - of(b).key || a.quantumUsed - b.quantumUsed,
    yields: (burst, head) => of(burst).key - of(head.burst).key >= policy.quantum,
    left(burst, granted) {
      const it = of(burst);
      if (--it.waiting === 0) {
        backlogged.remove(it.entry);
        raise(it.key);
      }
      if (!granted || burst.entered > 0 || prepaid.has(burst)) return;
      charge(it, prepaid.charge(burst, burst.spec.genStart));
    },
    served(burst, service) {
      charge(of(burst), prepaid.settle(burst, service));
    },
    over(burst) {
      charge(of(burst), -prepaid.refund(burst));
      const it = of(burst);
      if (--it.bursts > 0) return;
      absent.set(it.entry, it.key);
      const { first } = absent;
      if (absent.size <= REMEMBERED || !first) return;
      absent.remove(first);
      principals.delete(first.item.name);
    },
  };
  return policy;
}

function of({ account }: BurstView): Principal {
  if (account instanceof Principal) return account;
  throw new Error("a burst that has not entered");
}
