/**
 * The run queue: the bursts that wait for a slot, in the order of a policy.
 *
 * Three queues, one a class; in each, groups sorted by the key of their account, and in each
 * group its bursts sorted by theirs. Those that have a time from which they go first lie in
 * a heap by that time too. All are heaps whose entries can be moved and taken out, so that
 * whatever happens costs O(log n), and nothing is ever looked through. An account that is
 * served a token at a time moves once a decision: its groups settle when somebody asks who
 * is first.
 *
 * A class goes before those below it. But a class in which somebody waits is passed over at
 * most PASSES times in a row: whoever takes or keeps a slot for a turn before it is counted
 * (`passed`), and then the next turn is its own. So of PASSES + 2 turns that begin while a
 * class waits it has one, whatever the classes above it ask for: one more than PASSES + 1,
 * because two classes may have been passed over equally long.
 */
import { Entry, Heap } from "../heap.js";
import { CLASSES, type ProcessClass } from "../journal/fold-procs.js";
import type { Burst } from "./burst.js";
import type { Account, Head, Policy, Standing } from "./policy.js";

/** Turns of other classes in a row while a class waits. */
export const PASSES = 15;

/** The first that waits. `owed`: its class was passed over long enough. */
export interface Next extends Head {
  readonly burst: Burst;
  readonly owed: boolean;
}

/** Bursts of a class that compete as one. */
class Group implements Standing {
  readonly members = new Heap<Waiter>();
  readonly #entry: Entry<Group>;
  count = 0;

  constructor(
    readonly account: Account | undefined,
    readonly queue: ClassQueue,
    seq: number,
  ) {
    this.#entry = new Entry<Group>(this, seq);
    this.move(account?.key ?? 0);
    account?.standings.push(this);
  }

  move(key: number): void {
    if (key !== this.#entry.key || this.#entry.at < 0) this.queue.order.set(this.#entry, key);
  }

  close(): void {
    this.queue.order.remove(this.#entry);
    if (!this.account) {
      this.queue.common = undefined;
      return;
    }
    const { standings } = this.account;
    standings.splice(standings.indexOf(this), 1);
  }
}

class Waiter {
  readonly member: Entry<Waiter>;
  /** In the heap of those with a time. */
  due: Entry<Waiter> | undefined;

  /** @param seq who began to wait earlier has the lower */
  constructor(
    readonly burst: Burst,
    readonly seq: number,
    readonly group: Group,
  ) {
    this.member = new Entry<Waiter>(this, seq);
  }
}

class ClassQueue {
  readonly order = new Heap<Group>();
  readonly due = new Heap<Waiter>();
  /** Of those that have no account to compete as. */
  common: Group | undefined;
  size = 0;
  passed = 0;

  groupOf(account: Account | undefined, seq: number): Group {
    if (!account) {
      this.common ??= new Group(undefined, this, seq);
      return this.common;
    }
    for (const standing of account.standings) {
      if (standing instanceof Group && standing.queue === this) return standing;
    }
    return new Group(account, this, seq);
  }

  first(now: number, owed: boolean): Next | undefined {
    const waits = this.due.first;
    if (waits && waits.key <= now) return { burst: waits.item.burst, due: true, owed };
    const burst = this.order.first?.item.members.first?.item.burst;
    return burst && { burst, due: false, owed };
  }
}

export class RunQueue {
  readonly #policy: Policy;
  readonly #waiters = new Map<Burst, Waiter>();
  /** By rank. */
  readonly #classes: readonly ClassQueue[] = CLASSES.map(() => new ClassQueue());
  /** Accounts whose groups may stand where they no longer belong. */
  readonly #stale: Account[] = [];
  #seq = 0;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** How many of a class wait. */
  sizeOf(name: ProcessClass): number {
    return this.#of(CLASSES.indexOf(name)).size;
  }

  /** Puts a burst in, at the place that its policy gives it now. */
  add(burst: Burst, now: number): void {
    this.#insert(burst, ++this.#seq, now);
  }

  /** Its rank changed: another place, but it has waited as long as before. */
  move(burst: Burst): void {
    const seq = this.#waiters.get(burst)?.seq;
    if (seq === undefined) return;
    this.remove(burst);
    this.#policy.left?.(burst, false, 0);
    this.#insert(burst, seq, burst.readySince);
  }

  /** @returns whether it was there */
  remove(burst: Burst): boolean {
    const waiter = this.#waiters.get(burst);
    if (!waiter) return false;
    this.#waiters.delete(burst);
    const { group, member, due } = waiter;
    const { queue } = group;
    queue.size--;
    if (queue.size === 0) queue.passed = 0;
    if (due) queue.due.remove(due);
    group.members.remove(member);
    if (--group.count === 0) group.close();
    return true;
  }

  /** The policy has heard of a burst: the key of its account may be another. */
  rekey(account: Account): void {
    if (account.stale || account.standings.length === 0) return;
    account.stale = true;
    this.#stale.push(account);
  }

  /** Who is to run next. It stays in the queue. */
  first(now: number): Next | undefined {
    this.#settle();
    for (const queue of this.#classes) if (queue.passed >= PASSES) return queue.first(now, true);
    for (const queue of this.#classes) if (queue.size > 0) return queue.first(now, false);
    return undefined;
  }

  /** A burst of this rank has begun or goes on with a turn: those below it were passed over. */
  passed(rank: number): void {
    for (let below = rank + 1; below < this.#classes.length; below++) {
      const queue = this.#of(below);
      if (queue.size > 0) queue.passed++;
    }
    this.#of(rank).passed = 0;
  }

  /** All that wait, who waits longest first. It costs a sort: for a change of policy. */
  all(): Burst[] {
    const waiters = [...this.#waiters.values()].sort((a, b) => a.seq - b.seq);
    return waiters.map(({ burst }) => burst);
  }

  #insert(burst: Burst, seq: number, now: number): void {
    const queue = this.#of(burst.rank);
    const { key, group: account, dueAt } = this.#policy.place(burst, now);
    const group = queue.groupOf(account, seq);
    const waiter = new Waiter(burst, seq, group);
    group.members.set(waiter.member, key);
    group.count++;
    if (dueAt !== undefined) {
      waiter.due = new Entry<Waiter>(waiter, seq);
      queue.due.set(waiter.due, dueAt);
    }
    this.#waiters.set(burst, waiter);
    queue.size++;
    // Its policy has heard of it, and may have moved the others of its account.
    if (account) this.rekey(account);
  }

  #settle(): void {
    for (const account of this.#stale) {
      account.stale = false;
      for (const standing of account.standings) standing.move(account.key);
    }
    this.#stale.length = 0;
  }

  #of(rank: number): ClassQueue {
    const queue = this.#classes[rank];
    if (!queue) throw new RangeError(`there is no class of rank ${rank}`);
    return queue;
  }
}
