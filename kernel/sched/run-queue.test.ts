import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CLASSES, type ProcessClass } from "../journal/fold-procs.js";
import type { Burst } from "./burst.js";
import { Account, type Place, type Policy } from "./policy.js";
import { RunQueue } from "./run-queue.js";
import { Scheduler } from "./scheduler.js";
import { NOBODY, specOf } from "./testing/bursts.js";

/** Places and groups as a test says. */
class Told implements Policy {
  readonly name = "told";
  readonly quantum = 1;
  readonly preemptive = true;
  readonly places = new Map<bigint, Place>();
  readonly accounts = { a: new Account(), b: new Account(), c: new Account() };
  compare = (): number => 0;
  yields = (): boolean => false;
  place = ({ id }: Readonly<Burst>): Place => this.places.get(id) ?? { key: 0 };
}

interface Waits {
  readonly burst: Burst;
  readonly seq: number;
  readonly place: Place;
}

type Opened = Map<Account | undefined, number>;

/**
 * The first of a class by looking at all: the due ones, then groups by key, then members.
 * More than one only when two groups of one key were opened by one burst, which moved from
 * the first to the second: then either may go first.
 */
function firstOf(all: readonly Waits[], opened: Opened, now: number): bigint[] {
  const due = all.filter(({ place }) => (place.dueAt ?? Number.POSITIVE_INFINITY) <= now);
  due.sort((a, b) => (a.place.dueAt ?? 0) - (b.place.dueAt ?? 0) || a.seq - b.seq);
  if (due[0]) return [due[0].burst.id];
  const members = [...all].sort((a, b) => a.place.key - b.place.key || a.seq - b.seq);
  const heads = new Map<Account | undefined, Waits>();
  for (const each of members) {
    if (!heads.has(each.place.group)) heads.set(each.place.group, each);
  }
  const order = ({ place }: Waits): [number, number] => [
    place.group?.key ?? 0,
    opened.get(place.group) ?? 0,
  ];
  const compare = (a: Waits, b: Waits): number => {
    const [keyA, openedA] = order(a);
    const [keyB, openedB] = order(b);
    return keyA - keyB || openedA - openedB;
  };
  const sorted = [...heads.values()].sort(compare);
  const [best] = sorted;
  return best ? sorted.filter((w) => compare(w, best) === 0).map(({ burst }) => burst.id) : [];
}

const deed = fc.record({
  kind: fc.constantFrom(
    "add" as const,
    "add" as const,
    "remove" as const,
    "rekey" as const,
    "move" as const,
  ),
  which: fc.nat(),
  class: fc.constantFrom(...CLASSES),
  key: fc.integer({ min: 0, max: 4 }),
  group: fc.constantFrom("a" as const, "b" as const, "c" as const),
  dueAt: fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }),
});

describe("the run queue", () => {
  it("moves a group when the key of its account changes, either way", () => {
    const policy = new Told();
    const queue = new RunQueue(policy);
    const sched = new Scheduler({ policy, slots: 1 });
    const { a, b } = policy.accounts;
    const [ofA, ofB] = [a, b].map((group) => {
      const burst = sched.enqueue(specOf(1n), NOBODY, 0, 0, 0);
      policy.places.set(burst.id, { key: 0, group });
      queue.add(burst, 0);
      return burst;
    });
    for (const [key, first] of [
      [-1, ofB],
      [1, ofA],
      [-2, ofB],
    ] as const) {
      b.key = key;
      queue.rekey(b);
      expect(queue.first(0)?.burst).toBe(first);
    }
  });

  it("has first whom a look at all finds, whatever came, went and moved", () => {
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 60 }), fc.boolean(), (deeds, grouped) => {
        const policy = new Told();
        const queue = new RunQueue(policy);
        const sched = new Scheduler({ policy, slots: 1 });
        const model = new Map<ProcessClass, Waits[]>(CLASSES.map((name) => [name, []]));
        const opened = new Map<ProcessClass, Opened>(CLASSES.map((name) => [name, new Map()]));
        let seq = 0;
        const put = (burst: Burst, at: number): void => {
          const name = burst.spec.class;
          const place = policy.place(burst);
          const list = model.get(name) ?? [];
          const id = place.group;
          if (!list.some((w) => w.place.group === id)) opened.get(name)?.set(id, at);
          list.push({ burst, seq: at, place });
        };
        for (const { kind, which, class: name, key, group, dueAt } of deeds) {
          const account = policy.accounts[group];
          const place = {
            key,
            ...(grouped && { group: account }),
            ...(dueAt !== undefined && { dueAt }),
          };
          const list = model.get(name) ?? [];
          const it = list[which % Math.max(1, list.length)];
          if (kind === "add") {
            const burst = sched.enqueue(specOf(1n, { class: name }), NOBODY, 0, 0, 0);
            policy.places.set(burst.id, place);
            queue.add(burst, 0);
            put(burst, ++seq);
          } else if (kind === "rekey") {
            account.key = key;
            queue.rekey(account);
          } else if (it) {
            list.splice(list.indexOf(it), 1);
            if (kind === "move") {
              policy.places.set(it.burst.id, place);
              queue.move(it.burst);
              put(it.burst, it.seq);
            } else expect(queue.remove(it.burst)).toBe(true);
          }
          const highest = CLASSES.find((each) => (model.get(each)?.length ?? 0) > 0);
          for (const now of [0, 5]) {
            const first = queue.first(now)?.burst;
            if (!highest) {
              expect(first).toBeUndefined();
              continue;
            }
            const all = model.get(highest) ?? [];
            expect(firstOf(all, opened.get(highest) ?? new Map(), now)).toContain(first?.id);
          }
          for (const each of CLASSES) expect(queue.sizeOf(each)).toBe(model.get(each)?.length);
        }
      }),
      { numRuns: 60 },
    );
  });
});
