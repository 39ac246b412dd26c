import { describe, expect, it } from "vitest";
import { type Call, NO_USAGE } from "../../call.js";
import { ConfigSchema } from "../../config.js";
import { memoryJournal } from "../../journal/journal.js";
import { PageQuotas } from "../../mm/page-quotas.js";
import { Accounts } from "../../proc/accounts.js";
import { readQuota } from "./quota.js";
import { Rates } from "./rates.js";

const SECOND = 1_000_000;
const eagain = (says: RegExp, retryAfterUs: unknown = expect.any(Number)) =>
  expect.objectContaining({ code: "EAGAIN", message: expect.stringMatching(says), retryAfterUs });
const edquot = (says: RegExp) =>
  expect.objectContaining({ code: "EDQUOT", message: expect.stringMatching(says) });

/** Rates over a journal with two processes of `team` and one of `other`. */
function make(limits: Record<string, number> = {}, quota: Record<string, number> = {}) {
  const time = { now: 0 };
  const clock = { now: () => time.now, wall: () => 0, after: () => () => {} };
  const journal = memoryJournal();
  const accounts = new Accounts();
  const config = ConfigSchema.parse({ home: "/nowhere", limits });
  const pages = new PageQuotas(config.limits, journal);
  const rates = new Rates({ clock, journal, accounts, config, pages });
  journal.append({ type: "principal.added", name: "team", createdAt: 0, quota });
  const born = (pid: bigint, principal: string) =>
    journal.append({
      ...{ type: "proc.created", pid, parent: 0n, name: "p", principal, nice: 0 },
      ...{ spawned: false, log: "", at: 0 },
    });
  born(1n, "team");
  born(2n, "team");
  born(3n, "other");
  const call = (pid: bigint, name = "sys.uname"): Call => {
    const process = journal.state.processes.get(pid);
    return { process, row: { name, kind: "pure" } } as unknown as Call;
  };
  const process = (pid: bigint) => call(pid).process;
  const admit = (pid: bigint, name?: string): (() => void) => {
    const one = call(pid, name);
    rates.admit(one);
    return () => void rates.settle(one, NO_USAGE);
  };
  const leftOf = (pid: bigint) => {
    const one = call(pid);
    rates.admit(one);
    const { left } = rates.settle(one, NO_USAGE);
    return Object.fromEntries(left.map(({ quota, left }) => [quota, Number(left)]));
  };
  return { rates, journal, time, admit, process, leftOf, born };
}

describe("requests a second", () => {
  it("are bounded for a process, and one process leaves the other its own", () => {
    const { admit, time } = make({ requestsPerSecondPerProcess: 10 });
    for (let i = 0; i < 10; i++) admit(1n)();
    expect(() => admit(1n)).toThrow(eagain(/requestsPerSecond of this process: limit 10/, 100_000));
    admit(2n)();
    time.now += 100_000;
    admit(1n)();
    expect(() => admit(1n)).toThrow(eagain(/requestsPerSecond/));
  });

  it("are bounded for a principal by its own quota before the daemon's limit", () => {
    const limits = { requestsPerSecondPerPrincipal: 100 };
    const { admit } = make(limits, { requestsPerSecond: 4 });
    for (const pid of [1n, 2n, 1n, 2n]) admit(pid)();
    expect(() => admit(1n)).toThrow(eagain(/the principal team: limit 4/, 250_000));
    for (let i = 0; i < 100; i++) admit(3n)();
    expect(() => admit(3n)).toThrow(eagain(/the principal other: limit 100/));
  });

  it("that were refused cost nothing", () => {
    const { admit, time } = make({
      requestsPerSecondPerProcess: 10,
      requestsPerSecondPerPrincipal: 5,
    });
    for (let i = 0; i < 5; i++) admit(1n)();
    for (let i = 0; i < 50; i++) expect(() => admit(1n)).toThrow(eagain(/principal/));
    time.now += SECOND;
    for (let i = 0; i < 5; i++) admit(1n)();
  });
});

describe("calls in flight", () => {
  it("are bounded for a principal, whoever of its processes makes them", () => {
    const { admit } = make({}, { concurrentCalls: 2 });
    const first = admit(1n);
    admit(2n);
    expect(() => admit(2n)).toThrow(eagain(/2 calls of the principal team/));
    admit(3n);
    first();
    admit(1n);
  });
});

describe("tokens a second", () => {
  it("let a call in while nothing is owed, and make the next wait until it is paid back", () => {
    const { admit, rates, process, time } = make({ tokensPerSecondPerProcess: 100 });
    admit(1n, "llm.generate");
    rates.spend(process(1n), 350);
    expect(() => admit(1n, "llm.generate")).toThrow(eagain(/tokensPerSecond/, 2_510_000));
    for (const call of ["ctx.append", "ctx.recall", "ctx.restore"]) {
      expect(() => admit(1n, call)).toThrow(eagain(/tokensPerSecond/));
    }
    admit(1n, "sys.uname");
    admit(2n, "llm.generate");
    time.now += 2_510_000;
    admit(1n, "llm.generate");
  });
});

describe("tokens in all", () => {
  it("are set aside before a generation begins, and what it did not write is given back", () => {
    const { rates, journal, process } = make({}, { tokens: 100 });
    const context = { type: "ctx.created", cid: 5n, owner: 1n, handle: 1, model: "m", engine: "e" };
    journal.append(context as Parameters<typeof journal.append>[0]);
    const room = rates.reserve(process(1n), 80);
    expect(() => rates.reserve(process(2n), 21)).toThrow(
      edquot(/tokens of the principal team: limit 100, used or set aside 80/),
    );
    room.charge(30);
    journal.append({ type: "ctx.generated", cid: 5n, tokens: Array(30).fill(1) });
    expect(() => rates.reserve(process(2n), 21)).toThrow(edquot(/set aside 80/));
    room[Symbol.dispose]();
    room[Symbol.dispose]();
    rates.reserve(process(2n), 70);
    expect(() => rates.reserve(process(2n), 1)).toThrow(edquot(/set aside 100/));
    rates.reserve(process(3n), 1_000_000);
  });

  it("outlive the contexts that they were spent in, and a fork spends none", () => {
    const { rates, journal, process } = make({}, { tokens: 100 });
    const at = { ttlUs: 0, at: 0 };
    journal.append(
      { type: "ctx.created", cid: 5n, owner: 1n, handle: 1, model: "m", engine: "e" },
      { type: "ctx.given", cid: 5n, tokens: Array(60).fill(1), tail: "text" },
      { type: "ctx.forked", cid: 6n, from: 5n, owner: 1n, handle: 2, length: 60, ...at },
      { type: "ctx.closed", cid: 5n },
    );
    rates.reserve(process(1n), 40);
    expect(() => rates.reserve(process(1n), 1)).toThrow(edquot(/100/));
  });

  it("are bounded for a process too", () => {
    const { rates, process } = make({ tokensPerProcess: 10 });
    rates.reserve(process(1n), 10);
    expect(() => rates.reserve(process(1n), 1)).toThrow(edquot(/this process/));
    rates.reserve(process(2n), 10);
  });
});

describe("processes", () => {
  it("are bounded for a principal; those that are over do not count", () => {
    const { rates, journal } = make({}, { processes: 2 });
    expect(() => rates.checkProcesses("team")).toThrow(eagain(/2 processes of the principal team/));
    rates.checkProcesses("other");
    journal.append({ type: "proc.exited", pid: 1n, code: 0, cause: "exit", at: 0 });
    rates.checkProcesses("team");
  });
});

describe("what is left", () => {
  it("travels with the usage, the smaller of the process's and its principal's", () => {
    const { leftOf } = make(
      { requestsPerSecondPerProcess: 10, tokensPerProcess: 50 },
      { requestsPerSecond: 5, tokens: 1000 },
    );
    expect(leftOf(1n)).toEqual({ requestsPerSecond: 4, tokens: 50 });
    expect(leftOf(2n)).toEqual({ requestsPerSecond: 3, tokens: 50 });
  });

  it("is told of what the principal's own record or a budget bounds", () => {
    const { leftOf, journal } = make({}, { processes: 5, concurrentCalls: 7, mailboxBytes: 400 });
    const mail = { id: 1n, from: 1n, topic: "", body: new Uint8Array(30) };
    journal.append(
      {
        ...{ type: "proc.created", pid: 10n, parent: 1n, name: "p", principal: "team", nice: 0 },
        ...{ spawned: true, log: "", at: 0, quota: { contexts: 4, mailboxBytes: 300 } },
      },
      { type: "mail.sent", box: { pid: 10n }, mail },
      { type: "ctx.created", cid: 5n, owner: 10n, handle: 1, model: "m", engine: "e" },
    );
    expect(leftOf(1n)).toEqual({ processes: 2, concurrentCalls: 7, mailboxBytes: 114 });
    expect(leftOf(10n)).toEqual({
      ...{ processes: 2, concurrentCalls: 7, mailboxBytes: 14, contexts: 3 },
    });
    expect(leftOf(3n)).toEqual({});
  });

  it("is not told of what has no limit", () => {
    expect(make().leftOf(1n)).toEqual({});
  });

  it("is reported with what is in use", () => {
    const { rates, process, admit } = make({}, { tokens: 9, requestsPerSecond: 10 });
    admit(1n);
    const report = rates.report(process(1n));
    const of = (quota: string) =>
      report.filter((one) => one.quota === quota).map(({ of, limit, used }) => [of, limit, used]);
    expect(of("requestsPerSecond")).toEqual([["principal", 10, 1]]);
    expect(of("concurrentCalls")).toEqual([["principal", 16_384, 1]]);
    expect(of("tokens")).toEqual([
      ["process", Number.POSITIVE_INFINITY, 0],
      ["principal", 9, 0],
    ]);
    expect(of("processes")).toEqual([["principal", 384, 2]]);
    expect(of("memoryPages")).toEqual([
      ["process", Number.POSITIVE_INFINITY, 0],
      ["principal", Number.POSITIVE_INFINITY, 0],
    ]);
  });
});

describe("thousands of principals", () => {
  it("are forgotten when they do nothing, and not while they do", () => {
    const { admit, born } = make({
      requestsPerSecondPerPrincipal: 2,
      concurrentCallsPerPrincipal: 1,
    });
    for (let i = 0; i < 3000; i++) {
      born(BigInt(10 + i), `p${i}`);
      admit(BigInt(10 + i));
    }
    // Each still has its call in flight.
    expect(() => admit(10n)).toThrow(eagain(/in flight/));
  });
});

describe("a quota on the wire", () => {
  it.each([
    ["a wrong name", [{ quota: "tokns", limit: 1n }], /no quota "tokns"; one of requestsPerSecond/],
    ["a name of objects", [{ quota: "toString", limit: 1n }], /no quota/],
    ["a name twice", ["1", "2"].map((n) => ({ quota: "tokens", limit: BigInt(n) })), /given twice/],
    ["a huge number", [{ quota: "tokens", limit: 1n << 60n }], /too large/],
  ])("is refused for %s", (_what, entries, says) => {
    expect(() => readQuota(entries)).toThrow(says);
  });
});

describe("a budget", () => {
  /** Process 1 with a quota, its child 10, and the child's own, smaller one. */
  function family(quota: Record<string, number>, own?: Record<string, number>) {
    const made = make();
    const { journal, process } = made;
    const born = (pid: bigint, parent: bigint, quota?: Record<string, number>) =>
      journal.append({
        ...{ type: "proc.created", pid, parent, name: "p", principal: "team", nice: 0 },
        ...{ spawned: true, log: "", at: 0, quota },
      });
    born(10n, 1n, quota);
    born(11n, 10n, own);
    born(12n, 11n);
    return { ...made, born, parent: process(10n), child: process(11n), grandchild: process(12n) };
  }

  it("is one for a process and all that it spawned, also when who had it is over", () => {
    const { rates, journal, parent, grandchild } = family({ tokens: 100 });
    const room = rates.reserve(grandchild, 60);
    expect(rates.remaining(parent, "tokens")).toBe(40);
    expect(() => rates.reserve(parent, 41)).toThrow(edquot(/what it spawned: limit 100, .* 60/));
    journal.append({ type: "proc.exited", pid: 10n, code: 0, cause: "exit", at: 0 });
    journal.append({ type: "proc.reaped", pid: 10n });
    expect(() => rates.reserve(grandchild, 41)).toThrow(edquot(/limit 100/));
    room[Symbol.dispose]();
    rates.reserve(grandchild, 100);
  });

  it("counts who lives, and the smallest of several holds", () => {
    const { rates, journal, born, parent, grandchild } = family({ processes: 4 }, { processes: 2 });
    expect(() => rates.checkProcesses("team", grandchild.budgets)).toThrow(eagain(/processes/));
    rates.checkProcesses("team", parent.budgets);
    expect(rates.remaining(grandchild, "processes")).toBe(0);
    const end = (pid: bigint) =>
      journal.append({ type: "proc.exited", pid, code: 0, cause: "exit", at: 0 });
    end(12n);
    // Its parent has not waited for it.
    expect(() => rates.checkProcesses("team", grandchild.budgets)).toThrow(eagain(/waited for/));
    journal.append({ type: "proc.reaped", pid: 12n });
    rates.checkProcesses("team", grandchild.budgets);
    expect(rates.remaining(parent, "processes")).toBe(2);
    born(13n, 11n);
    end(13n);
    // The end of their parent lets zombies go, once.
    end(11n);
    expect(rates.remaining(parent, "processes")).toBe(2);
    journal.append({ type: "proc.reaped", pid: 13n }, { type: "proc.reaped", pid: 11n });
    expect(rates.remaining(parent, "processes")).toBe(3);
  });

  it("of calls in flight holds for all of them together, and a child may have as many", () => {
    const { admit, rates, parent } = family({ concurrentCalls: 2 });
    const first = admit(10n);
    expect(rates.remaining(parent, "concurrentCalls")).toBe(2);
    admit(12n);
    expect(() => admit(11n)).toThrow(eagain(/2 calls of n0.10 and what it spawned are in flight/));
    admit(1n);
    first();
    admit(11n);
    const { used } = rates.report(parent).find(({ quota }) => quota === "concurrentCalls") ?? {};
    expect(used).toBe(2);
  });

  it("of a cache is given on whole: what is in it makes room", () => {
    const { rates, parent, child } = family({ memoryPages: 8, swapBytes: 1000 }, { swapBytes: 10 });
    expect(rates.remaining(parent, "memoryPages")).toBe(8);
    expect(rates.remaining(child, "swapBytes")).toBe(10);
    const shown = rates.report(child).filter(({ quota }) => quota === "memoryPages");
    expect(shown).toContainEqual({ quota: "memoryPages", of: "process", limit: 8, used: 0 });
  });

  it("of a rate holds for all of them together", () => {
    const { admit, time } = family({ requestsPerSecond: 2 });
    admit(10n)();
    admit(12n)();
    expect(() => admit(11n)).toThrow(eagain(/requestsPerSecond/, 500_000));
    admit(1n)();
    time.now += 500_000;
    admit(11n)();
  });
});
