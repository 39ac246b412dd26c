import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Agent } from "./agent.js";
import { type Deed, makePage, Stage } from "./conformance.js";
import { EVICTION_NAMES, evictionPolicy } from "./policies.js";
import { type EvictionPorts, NOBODY } from "./policy.js";

const SEED = 5;
const small = fc.nat(30);
const us = fc.oneof(fc.nat(5000), fc.nat(100_000_000));
const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("turn" as const), context: small, grow: fc.nat(6) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("wait" as const), context: small, on: small, us }),
  },
  fc.record({ kind: fc.constant("fork" as const), context: small, from: small, keep: small }),
  fc.record({ kind: fc.constant("close" as const), context: small }),
  fc.record({ kind: fc.constant("pin" as const), page: small }),
  fc.record({ kind: fc.constant("unpin" as const), page: small }),
  fc.record({ kind: fc.constant("lose" as const), page: small }),
  fc.record({ kind: fc.constant("evict" as const) }),
  fc.record({ kind: fc.constant("pass" as const), us }),
);
const story = fc.array(deed, { maxLength: 120 });

describe.each(EVICTION_NAMES)("%s", (name) => {
  const play = (deeds: readonly Deed[], room: number): Stage => {
    const stage = new Stage((ports) => evictionPolicy(name, ports), room);
    for (const deed of deeds) stage.play(deed);
    return stage;
  };

  it("keeps the rules in any story, and lets everything go in the end", () => {
    fc.assert(
      fc.property(story, fc.integer({ min: 1, max: 40 }), (deeds, room) => {
        play(deeds, room).drain();
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it("does the same twice", () => {
    fc.assert(
      fc.property(story, (deeds) => {
        const [one, other] = [play(deeds, 12), play(deeds, 12)];
        one.drain();
        other.drain();
        expect(one.victims).toEqual(other.victims);
      }),
      { seed: SEED, numRuns: 100 },
    );
  });

  it("has its name, no victim when empty, and none when all are pinned", () => {
    const page = makePage("p", undefined);
    let pinned = true;
    const policy = evictionPolicy(name, { ...ports, pinned: () => pinned });
    expect(policy.name).toBe(name);
    expect(policy.victim(0)).toBeUndefined();
    policy.added(page, 1n, 0);
    expect(policy.victim(1)).toBeUndefined();
    pinned = false;
    expect(policy.victim(2)).toBe(page);
  });

  it("ignores what it does not know: pages that are not here, contexts that it never saw", () => {
    const policy = evictionPolicy(name, ports);
    const page = makePage("p", undefined);
    policy.used(page, 1n, 0);
    policy.removed(page);
    policy.waits(2n, { kind: "tool" }, 5);
    policy.closed(3n, 9);
    expect(policy.victim(10)).toBeUndefined();
  });
});

const ports: EvictionPorts = {
  rebuildUs: () => 1000,
  fetchUs: () => Number.POSITIVE_INFINITY,
  bytes: () => 10,
  pinned: () => false,
  node: "frameNode",
};

const MS = 1000;
const S = 1000 * MS;

describe("lru", () => {
  it("lets the leaf go that was used longest ago, and then its parent", () => {
    const lru = evictionPolicy("lru", ports);
    const [a, b, c] = [
      makePage("a", undefined),
      makePage("b", undefined),
      makePage("c", undefined),
    ];
    const a2 = makePage("a2", a);
    for (const [page, at] of [
      [a, 1],
      [a2, 2],
      [b, 3],
      [c, 4],
    ] as const)
      lru.added(page, 1n, at);
    const order: string[] = [];
    for (let page = lru.victim(9); page; page = lru.victim(9)) {
      order.push(page.name);
      lru.removed(page);
    }
    expect(order).toEqual(["a2", "a", "b", "c"]);
  });

  it("forgets that a page became a leaf late when it is used again", () => {
    const lru = evictionPolicy("lru", ports);
    const [a, b] = [makePage("a", undefined), makePage("b", undefined)];
    const a2 = makePage("a2", a);
    for (const [page, at] of [
      [a, 1],
      [a2, 2],
      [b, 3],
    ] as const)
      lru.added(page, 1n, at);
    lru.removed(a2);
    lru.used(a, 1n, 4);
    expect(lru.victim(5)).toBe(b);
  });
});

describe("cost", () => {
  it("keeps what is dear to rebuild before what is cheap, and what was found often", () => {
    const rebuildUs = ({ name }: { name: string }) => (name === "dear" ? 5000 : 1000);
    const cost = evictionPolicy("cost", { ...ports, rebuildUs });
    const [dear, cheap, often] = ["dear", "cheap", "often"].map((name) =>
      makePage(name, undefined),
    );
    if (!dear || !cheap || !often) throw new Error("no pages");
    for (const page of [dear, often, cheap]) cost.added(page, 1n, 0);
    for (let i = 0; i < 2; i++) cost.used(often, 1n, i);
    const order: string[] = [];
    for (let page = cost.victim(9); page; page = cost.victim(9)) {
      order.push(page.name);
      cost.removed(page);
    }
    expect(order).toEqual(["cheap", "often", "dear"]);
  });

  it("lets go at last what was dear and is not used any more", () => {
    const rebuildUs = ({ name }: { name: string }) => (name === "dear" ? 5000 : 1000);
    const cost = evictionPolicy("cost", { ...ports, rebuildUs });
    cost.added(makePage("dear", undefined), 1n, 0);
    let victim = "";
    for (let i = 0; i < 10 && victim !== "dear"; i++) {
      cost.added(makePage(`new${i}`, undefined), 1n, i);
      const page = cost.victim(i);
      if (!page) throw new Error("no victim");
      victim = page.name;
      cost.removed(page);
    }
    expect(victim).toBe("dear");
  });
});

describe("agent", () => {
  it("learns from bursts that were the last: nobody comes back for what they ran with", () => {
    const agent = new Agent(ports);
    const before = agent.learned.of("running").index(S);
    for (let cid = 1n; cid <= 20n; cid++) {
      const now = Number(cid) * 10 * S;
      agent.runs(cid, now);
      agent.added(makePage(`last ${cid}`, undefined), cid, now);
      agent.closed(cid, now + S);
    }
    expect(agent.learned.of("running").index(S)).toBeLessThan(before);
  });

  /** Contexts 1 and 2 have a page each; each kind of wait was seen to last so long. */
  function taught(kinds: Record<string, number>, more: Partial<EvictionPorts> = {}) {
    const agent = evictionPolicy("agent", { ...ports, ...more });
    let now = 0;
    for (let round = 0; round < 50; round++) {
      for (const [kind, us] of Object.entries(kinds)) {
        agent.runs(99n, now);
        agent.waits(99n, { kind }, now);
        now += us;
      }
    }
    agent.runs(99n, now);
    const pages = [makePage("one", undefined), makePage("two", undefined)] as const;
    pages.forEach((page, i) => {
      agent.runs(BigInt(i + 1), now);
      agent.added(page, BigInt(i + 1), now);
    });
    return { agent, now, pages };
  }

  it("keeps who waits for a fast tool before who waits for a person", () => {
    const { agent, now, pages } = taught({ tool: S, person: 600 * S });
    agent.waits(1n, { kind: "tool" }, now);
    agent.waits(2n, { kind: "person" }, now + 1);
    expect(agent.victim(now + 100 * MS)).toBe(pages[1]);
  });

  it("gives up on a tool that takes much longer than tools do", () => {
    const { agent, now, pages } = taught({ tool: S, person: 600 * S });
    agent.waits(1n, { kind: "tool" }, now);
    agent.waits(2n, { kind: "person" }, now);
    expect(agent.victim(now + 300 * S)).toBe(pages[0]);
  });

  it("knows when a timer ends", () => {
    const { agent, now, pages } = taught({ tool: 10 * S });
    agent.waits(1n, { kind: "timer", until: now + 1000 * S }, now);
    agent.waits(2n, { kind: "tool" }, now);
    expect(agent.victim(now + S)).toBe(pages[0]);
    // The tool is long overdue, the timer is not.
    expect(agent.victim(now + 999 * S)).toBe(pages[1]);
  });

  it("lets go first what nobody holds", () => {
    const { agent, now, pages } = taught({ tool: S, person: 600 * S });
    agent.waits(1n, { kind: "tool" }, now);
    agent.waits(2n, { kind: "person" }, now);
    agent.closed(1n, now + 1);
    expect(agent.victim(now + S)).toBe(pages[0]);
  });

  it("swaps what has a short way back before it drops what would be computed", () => {
    const fetchUs = ({ name }: { name: string }) =>
      name === "two" ? 10 : Number.POSITIVE_INFINITY;
    const { agent, now, pages } = taught({ tool: S }, { fetchUs });
    agent.waits(1n, { kind: "tool" }, now);
    agent.waits(2n, { kind: "tool" }, now);
    expect(agent.victim(now + MS)).toBe(pages[1]);
  });

  it("counts a context for its parent page when its last page goes", () => {
    const { agent, now, pages } = taught({ tool: S, person: 600 * S });
    const child = makePage("child", pages[0]);
    agent.added(child, 1n, now);
    agent.waits(1n, { kind: "tool" }, now);
    agent.waits(2n, { kind: "person" }, now);
    agent.removed(child);
    expect(agent.victim(now + 100 * MS)).toBe(pages[1]);
  });

  it("keeps who came back often before who waits for the first time, when that is what it saw", () => {
    const agent = evictionPolicy("agent", ports);
    let [now, cid] = [0, 100n];
    // Of ten contexts one comes back after its first wait, and then again and again.
    for (let i = 0; i < 300; i++, cid++) {
      const turns = i % 10 === 0 ? 8 : 1;
      for (let turn = 0; turn < turns; turn++, now += S) {
        agent.runs(cid, now);
        agent.waits(cid, { kind: "message" }, now);
      }
      agent.closed(cid, now + 600 * S);
    }
    const [often, once] = [makePage("often", undefined), makePage("once", undefined)];
    for (let turn = 0; turn < 5; turn++, now += S) {
      agent.runs(1n, now);
      agent.waits(1n, { kind: "message" }, now);
    }
    for (const [cid, page] of [[1n, often] as const, [2n, once] as const]) {
      agent.runs(cid, now);
      agent.added(page, cid, now);
      agent.waits(cid, { kind: "message" }, now);
    }
    expect(agent.victim(now + MS)).toBe(once);
  });

  it("learns that contexts which close after one burst do not come back to what they ran with", () => {
    const agent = evictionPolicy("agent", ports);
    let now = 0;
    for (let cid = 100n; cid < 300n; cid++, now += S) {
      agent.runs(cid, now);
      agent.waits(cid, { kind: "message" }, now + 10 * S);
      agent.closed(cid, now + 10 * S);
    }
    for (let turn = 0; turn < 20; turn++, now += 10 * S) {
      agent.runs(1n, now);
      agent.waits(1n, { kind: "tool" }, now);
    }
    const [waits, ran] = [makePage("waits", undefined), makePage("ran", undefined)];
    for (const [cid, page] of [[1n, waits] as const, [2n, ran] as const]) {
      agent.runs(cid, now);
      agent.added(page, cid, now);
    }
    agent.waits(1n, { kind: "tool" }, now);
    expect(agent.victim(now + 100 * MS)).toBe(ran);
  });

  it("takes a wait for one until its end, whatever the context turns to meanwhile", () => {
    const [polled, quiet] = [new Agent(ports), new Agent(ports)];
    for (const agent of [polled, quiet]) agent.runs(1n, 0);
    polled.waits(1n, { kind: "call" }, 0);
    for (let at = 0; at < S; at += 100 * MS) polled.waits(1n, { kind: "message" }, at);
    quiet.waits(1n, { kind: "message" }, 0);
    for (const agent of [polled, quiet]) agent.runs(1n, S);
    const learned = ({ learned }: Agent) =>
      [...learned.kinds]
        .filter(([, { count }]) => count > 0)
        .map(([kind, sketch]) => [kind, sketch.count, sketch.index(S / 2)]);
    expect(learned(polled)).toEqual(learned(quiet));
    expect(polled.learned.of("message").count).toBe(1);
  });

  it("grows tired of who only ever asks again", () => {
    const { agent, now, pages } = taught({ message: S });
    for (let at = now; at < now + 300 * S; at += 100 * MS) {
      agent.waits(1n, { kind: "message" }, at);
    }
    agent.waits(2n, { kind: "message" }, now + 300 * S);
    expect(agent.victim(now + 300 * S + MS)).toBe(pages[0]);
  });

  it("holds what comes for nobody as what nobody holds", () => {
    const agent = evictionPolicy("agent", ports);
    agent.runs(1n, 0);
    const [held, nobodys] = [makePage("held", undefined), makePage("nobody's", undefined)];
    agent.added(held, 1n, 0);
    agent.added(nobodys, NOBODY, 0);
    expect(agent.victim(S)).toBe(nobodys);
  });

  it("weighs a page with what all of its history costs", () => {
    const rebuildUs = ({ name }: { name: string }) => (name.startsWith("dear") ? 9000 : 1000);
    const agent = evictionPolicy("agent", { ...ports, rebuildUs });
    // Both have a cheap end. One has a dear history before it.
    const [dear, cheap] = [makePage("dear", undefined), makePage("cheap", undefined)];
    const [dearEnd, cheapEnd] = [makePage("end of dear", dear), makePage("end of cheap", cheap)];
    for (const [cid, pages] of [[1n, [dear, dearEnd]] as const, [2n, [cheap, cheapEnd]] as const]) {
      agent.runs(cid, 0);
      for (const page of pages) agent.added(page, cid, 0);
      agent.waits(cid, { kind: "tool" }, 0);
    }
    expect(agent.victim(S)).toBe(cheapEnd);
  });
});
