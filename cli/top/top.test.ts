/** The page of `contix top` and its keys, without a terminal. */
import fc from "fast-check";
import pc from "picocolors";
import { describe, expect, it } from "vitest";
import type { ModelInfo, ProcInfo, Sched, Stats, Uname } from "../../syscalls/index.js";
import { cells, fit, printable } from "./cells.js";
import { arrange, columnsFor } from "./columns.js";
import { page, processRoom, textPage } from "./page.js";
import { type Reading, sampleOf, sinceStart } from "./reading.js";
import { firstView, type Key, press, type View } from "./view.js";

const plain = pc.createColors(false);

function stats(more: Partial<Stats> = {}): Stats {
  const counters = {
    ...{ tokensPrefilled: 0, tokensDecoded: 0, tokensGenerated: 0, tokensRecomputed: 0 },
    ...{ steps: 0, stepMs: 0, contextSwitches: 0, driverRestarts: 0, syscalls: 0, denied: 0 },
    ...{ pagesMemory: 100, pagesMemoryUsed: 7, pagesSwap: 0, pagesSwapUsed: 0 },
    ...{ pagesSaved: 0, pagesLoaded: 0, pagesWritten: 0, pagesRead: 0 },
    ...{ pagesBad: 0, swapErrors: 0, pagesRefused: 0, pagesDropped: 0 },
    ...{ pagesMemoryEvicted: 0, pagesSwapEvicted: 0 },
    ...{ procsRunning: 0, procsReady: 0, procsBlocked: 0, memoryBudget: 0, memoryUsed: 0 },
  };
  const slot = (["decode", "prefill", "idle"] as const).map((phase, slot) => {
    return { slot, phase, pid: null, cid: null, tokens: 0, of: 0, model: "tiny" };
  });
  const queue = { slots: 3, slotsUsed: 2, slotTokens: 2048, queued: 4, queueLimit: 64 };
  const none = { queue: [], callTime: [], slotWait: undefined };
  return { ...counters, ...queue, policy: "rr", slot, denials: [], door: [], ...none, ...more };
}

function proc(n: number, more: Partial<ProcInfo> = {}): ProcInfo {
  const pid = `n1.${n}`;
  return {
    ...{ pid, parent: null, run: 1, name: `agent-${n}`, principal: "admin", state: "running" },
    ...{ waitingOn: "", nice: 0, osPid: null, slot: null, tokensIn: 10, tokensOut: 20 * n },
    ...{ syscalls: 1, queuedMs: 0, servedMs: 0, ageMs: 1000, log: null, contexts: 1, mail: 0 },
    ...{ models: ["tiny"], class: "interactive", group: pid, session: pid, restart: "" },
    ...{ exitCode: null, isolation: "", pages: 3, pagesInMemory: 2, pagesSwapped: 1, waitingMs: 0 },
    restartInMs: null,
    ...more,
  };
}

function reading(procs: readonly ProcInfo[], more: Partial<Reading> = {}): Reading {
  const uname = { node: "n1", uptimeMs: 61_000, daemonPid: 10 } as Uname;
  const model = {
    name: "tiny",
    state: "running",
    slots: 3,
    slotsUsed: 2,
    default: true,
    memory: 0,
  };
  const classes = [
    { class: "realtime", running: 0, waiting: 0 },
    { class: "batch", running: 2, waiting: 2 },
  ];
  const sched = { policy: "rr", queues: [{ classes }] } as unknown as Sched;
  return { at: 0, uname, stats: stats(), sched, models: [model as ModelInfo], procs, ...more };
}

const view = firstView(1000);

describe("cells", () => {
  it("are two for wide characters, none for marks, and nothing commands the terminal", () => {
    expect([cells("bees"), cells("日本語"), cells("e\u0301"), cells("🐝")]).toEqual([4, 6, 1, 2]);
    expect(printable("a\x1b[2J\r\nb\u202ec\u009b")).toBe("a?[2J??b?c?");
    expect([fit("日本語", 5), fit("ab", 4, true), fit("abc", 2), fit("abc", 0)]).toEqual([
      "日本…",
      "  ab",
      "a…",
      "",
    ]);
  });
});

describe("a sample", () => {
  it("has rates between two readings, and none without, or after another kernel's", () => {
    const before = reading([proc(1, { tokensOut: 10 })], { stats: stats({ steps: 5 }) });
    const procs = [proc(1, { tokensOut: 40 }), proc(2, { tokensOut: 90 })];
    const now = reading(procs, { at: 2000, stats: stats({ steps: 25, pagesLoaded: 3 }) });
    const { rates, rows } = sampleOf(now, before);
    expect([rates.steps, rates.pagesIn, rates.generated]).toEqual([10, 1.5, 0]);
    // One that was not there before has no rate yet.
    expect(rows.map((row) => row.tokensPerSecond)).toEqual([15, 0]);
    const other = { ...before, uname: { ...before.uname, daemonPid: 11 } };
    for (const none of [undefined, other]) {
      expect(sampleOf(now, none).rates.steps).toBe(0);
      expect(sampleOf(now, none).rows[0]?.tokensPerSecond).toBe(0);
    }
    expect(sinceStart(stats({ steps: 10 }), 2000).steps).toBe(5);
  });
});

describe("the page", () => {
  it("fits into any terminal, whatever is in it and however much", () => {
    const names = fc.string({ unit: "binary", maxLength: 40 });
    const size = fc.record({
      columns: fc.integer({ min: 1, max: 220 }),
      rows: fc.integer({ min: 2, max: 60 }),
    });
    const looks = fc.record({
      help: fc.boolean(),
      filter: names,
      marked: fc.constantFrom(null, "n1.3", "n1.400"),
    });
    fc.assert(
      fc.property(fc.array(names, { maxLength: 80 }), names, size, looks, (all, note, at, look) => {
        const procs = all.map((name, i) => proc(i + 1, { name, principal: name, models: [name] }));
        const lines = page(
          sampleOf(reading(procs), undefined),
          { ...view, ...look },
          at,
          note,
          plain,
        );
        expect(lines.length).toBeLessThanOrEqual(at.rows);
        for (const line of lines) {
          expect(cells(line)).toBeLessThanOrEqual(at.columns);
          expect(line).not.toMatch(/\p{Cc}/u);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("shows slots, queues, models and every process", () => {
    const waits = { state: "ready", waitingOn: "slot", class: "batch" } as const;
    const procs = [proc(1), proc(2, waits), proc(3, waits)];
    const text = textPage(sampleOf(reading(procs), undefined), view, 160, plain).join("\n");
    expect(text).toMatch(/up 1m01s {2}3 processes: 1 running, 2 ready, 0 blocked/);
    expect(text).toContain("[DP.] 2/3  policy rr  queue 4/64 (batch 2)");
    expect(text).toMatch(/model {2}tiny \* {2}running/);
    expect(text.match(/agent-/g)).toHaveLength(3);
    expect(columnsFor(40).map(({ key }) => key)).toEqual(["pid", "name", "state", "tok/s"]);
  });

  it("keeps the marked process on it, and a model too many in one line", () => {
    const procs = Array.from({ length: 100 }, (_, i) => proc(i + 1));
    const models = Array.from({ length: 6 }, (_, i) => ({ name: `m${i}` }) as ModelInfo);
    const sample = sampleOf(reading(procs, { models }), undefined);
    const size = { columns: 80, rows: 24 };
    for (const marked of ["n1.1", "n1.57", "n1.100"]) {
      const lines = page(sample, { ...view, sort: "pid", marked }, size, "", plain);
      expect(lines.filter((line) => line.startsWith(`${marked} `))).toHaveLength(1);
      expect(lines).toHaveLength(24);
    }
    expect(page(sample, view, size, "", plain).join("\n")).toContain("and 4 more models");
    expect(processRoom(sample, size)).toBe(15);
  });
});

describe("keys", () => {
  const procs = [1, 2, 3, 4].map((n) => proc(n));
  const { rows: unordered } = sampleOf(reading(procs), undefined);
  const rows = arrange(unordered, { ...view, sort: "pid" });

  /** Presses one key after the other; the last view and all actions. */
  function keys(...pressed: readonly (string | Key)[]): { view: View; actions: unknown[] } {
    let now: View = { ...view, sort: "pid" };
    const actions: unknown[] = [];
    for (const key of pressed) {
      const one = typeof key === "string" ? { sequence: key } : key;
      const { view: next, action } = press(now, one, rows, 10);
      now = next;
      if (action) actions.push(action);
    }
    return { view: now, actions };
  }
  const down = { name: "down", sequence: "\x1b[B" };
  const enter = { name: "return", sequence: "\r" };

  it("do nothing to a process that nobody chose", () => {
    const said = { kind: "note", text: "choose a process with the arrow keys first" };
    expect(keys("S", "C", "k", "r").actions).toEqual([said, said, said, said]);
    // One that was chosen and is over is nobody either.
    const gone = press({ ...view, marked: "n1.99" }, { sequence: "S" }, rows, 10);
    expect(gone.action).toEqual(said);
  });

  it("signal and renice the chosen one", () => {
    expect(keys(down, down, "S").actions).toEqual([
      { kind: "signal", pid: "n1.2", signal: "STOP" },
    ]);
    expect(keys(down, "k", enter).actions).toEqual([
      { kind: "signal", pid: "n1.1", signal: "TERM" },
    ]);
    expect(keys(down, "k", ..."sigint", enter).actions).toEqual([
      { kind: "signal", pid: "n1.1", signal: "INT" },
    ]);
    expect(keys(down, "r", ..."-7", enter).actions).toEqual([
      { kind: "nice", pid: "n1.1", nice: -7 },
    ]);
    expect(keys(down, "r", "x", enter).actions).toMatchObject([{ kind: "note" }]);
    expect(keys(down, "k", { name: "escape", sequence: "\x1b" }, enter).actions).toEqual([]);
  });

  it("sort, filter, pause, and choose within the list", () => {
    expect(keys(">").view.sort).toBe("name");
    expect(keys("<").view.sort).toBe("model");
    expect(keys("R", " ", "/", ..."ab", { name: "backspace" }, enter).view).toMatchObject({
      ...{ reverse: true, paused: true, filter: "a", prompt: undefined },
    });
    expect(keys({ name: "end" }, down).view.marked).toBe("n1.4");
    expect(keys({ name: "up" }).view.marked).toBe("n1.1");
    expect(keys("d", ..."0.5", enter).view.delayMs).toBe(500);
    expect(keys("d", "0", enter).actions).toMatchObject([{ kind: "note" }]);
    expect(arrange(unordered, { ...view, filter: "AGENT-3" }).map(({ pid }) => pid)).toEqual([
      "n1.3",
    ]);
  });

  it("quit, also in the middle of a prompt and of the help", () => {
    const quit = [{ kind: "quit" }];
    const ctrlC = { name: "c", ctrl: true, sequence: "\x03" };
    expect(keys("q").actions).toEqual(quit);
    expect(keys("/", "q", ctrlC).actions).toEqual(quit);
    expect(keys("h", "q").view.help).toBe(false);
    expect(keys("h", ctrlC).actions).toEqual(quit);
  });
});
