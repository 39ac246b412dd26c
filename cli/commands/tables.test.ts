import pc from "picocolors";
import { describe, expect, it } from "vitest";
import type { ModelInfo, ProcInfo, Stats, Uname, Usage } from "../../syscalls/index.js";
import { statsLine } from "./generate.js";
import { psTable } from "./ps.js";
import { modelsTable } from "./serving.js";
import { statsLines } from "./stats.js";

const plain = pc.createColors(false);

const proc: ProcInfo = {
  pid: "n1.17",
  parent: null,
  run: 1,
  name: "bees",
  principal: "admin",
  state: "running",
  waitingOn: "",
  nice: 0,
  osPid: 4711,
  slot: 3,
  tokensIn: 667,
  tokensOut: 1234,
  syscalls: 5,
  queuedMs: 12,
  servedMs: 900,
  ageMs: 1500,
  log: null,
  contexts: 1,
  mail: 0,
  models: ["tiny"],
  class: "interactive",
  group: "n1.7",
  session: "n1.7",
  restart: "",
  exitCode: null,
  isolation: "",
  ...{ pages: 118, pagesInMemory: 100, pagesSwapped: 7, waitingMs: 0 },
  restartInMs: null,
};

describe("psTable", () => {
  it("shows what an agent does and has used", () => {
    const blocked = {
      ...{ ...proc, pid: "n1.18", state: "blocked", waitingOn: "message", slot: null },
      models: [],
    };
    const restarting = { ...blocked, waitingOn: "restart", restartInMs: 12_000 } as ProcInfo;
    expect(psTable([restarting], plain)).toContain("blocked  restart in 12.0 s  interactive");
    expect(psTable([proc, blocked as ProcInfo], plain)).toBe(
      [
        "PID    NAME  STATE    WAITING ON  CLASS        NI  SLOT   IN    OUT  QUEUED    AGE  GROUP  SESSION  MODEL",
        "n1.17  bees  running  -           interactive   0     3  667  1,234   12 ms  1.5 s  n1.7   n1.7     tiny",
        "n1.18  bees  blocked  message     interactive   0     -  667  1,234   12 ms  1.5 s  n1.7   n1.7     -",
      ].join("\n"),
    );
  });

  it("shows who started whom, and no name that a terminal would obey", () => {
    const child = { ...proc, pid: "n1.19", parent: "n1.17", name: "a\x1b[2Jb" };
    const grandchild = { ...proc, pid: "n1.20", parent: "n1.19" };
    const orphan = { ...proc, pid: "n1.21", parent: "n1.2" };
    const sibling = { ...proc, pid: "n1.22", parent: "n1.17" };
    const lines = psTable([proc, child, grandchild, orphan, sibling], plain, { tree: true });
    expect(lines.split("\n").map((line) => line.slice(0, 24).trimEnd())).toEqual([
      "PID    NAME        STATE",
      "n1.17  bees        runni",
      "n1.19  ├─ a?[2Jb   runni",
      "n1.20  │  └─ bees  runni",
      "n1.22  └─ bees     runni",
      "n1.21  bees        runni",
    ]);
  });

  it("is its header alone when there is no agent", () => {
    expect(psTable([], plain)).toMatch(/^PID {2}NAME {2}STATE.*MODEL$/);
  });
});

describe("statsLines", () => {
  const uname: Uname = {
    kernelVersion: "0.1.0",
    abi: 1,
    node: "n1",
    engineDigest: "abc",
    model: "tiny",
    driver: "fake",
    uptimeMs: 61_000,
    daemonPid: 10,
    driverPid: 11,
  };
  const fresh: Stats = {
    slots: 8,
    slotsUsed: 0,
    slotTokens: 2048,
    queued: 0,
    queueLimit: 512,
    tokensPrefilled: 0,
    tokensDecoded: 0,
    tokensGenerated: 0,
    tokensRecomputed: 0,
    steps: 0,
    stepMs: 0,
    contextSwitches: 0,
    driverRestarts: 0,
    policy: "rr",
    syscalls: 1,
    denied: 0,
    slot: [],
    memoryBudget: 4 * 2 ** 30,
    memoryUsed: 2 ** 30,
    ...{ pagesMemory: 0, pagesMemoryUsed: 0, pagesSwap: 0, pagesSwapUsed: 0 },
    ...{ pagesSaved: 0, pagesLoaded: 0, pagesWritten: 0, pagesRead: 0 },
    ...{ pagesBad: 0, swapErrors: 0, pagesRefused: 0, pagesDropped: 0 },
    ...{ pagesMemoryEvicted: 0, pagesSwapEvicted: 0 },
    ...{ procsRunning: 0, procsReady: 0, procsBlocked: 0, denials: [], door: [] },
    ...{ queue: [], callTime: [], slotWait: undefined },
  };

  it("divides by nothing on a fresh kernel", () => {
    const lines = new Map(statsLines(uname, fresh));
    expect(lines.get("steps")).toBe("0, - each; - tokens/s of engine time");
    expect(lines.get("driver")).toBe("fake, process 11, never restarted");
  });

  it("gives the engine's own rate", () => {
    const busy = { ...fresh, steps: 100, stepMs: 2_000, tokensGenerated: 500, driverRestarts: 1 };
    const lines = new Map(statsLines(uname, busy));
    expect(lines.get("steps")).toBe("100, 20 ms each; 250 tokens/s of engine time");
    expect(lines.get("driver")).toBe("fake, process 11, restarted once");
  });
});

describe("modelsTable", () => {
  const unused: ModelInfo = {
    ...{ name: "tiny", digest: "", window: 0, vocab: 0, loaded: false, license: "", chat: false },
    ...{ state: "stopped", default: false, slots: 0, slotsUsed: 0, queued: 0, memory: 0 },
    ...{ idleMs: 0, driverPid: null, driverRestarts: 0, error: "" },
  };

  it("shows what runs, what it takes and when it was used", () => {
    const smol: ModelInfo = {
      ...{ ...unused, name: "smollm2", state: "running", default: true, slots: 16, slotsUsed: 3 },
      ...{ queued: 2, memory: 1.5 * 2 ** 30, window: 2048 },
    };
    const story: ModelInfo = { ...smol, name: "story", default: false, state: "stopped" };
    const idle = { ...story, slotsUsed: 0, queued: 0, idleMs: 400_000 };
    expect(modelsTable([smol, idle, unused], plain)).toBe(
      [
        "MODEL      STATE    SLOTS  QUEUED   MEMORY  WINDOW  LAST USE",
        "smollm2 *  running   3/16       2  1.5 GiB   2,048  now",
        "story      stopped   0/16       0  1.5 GiB   2,048  6m40s ago",
        "tiny       stopped      -       0        -       -  -",
      ].join("\n"),
    );
  });
});

describe("statsLine", () => {
  const usage: Usage = {
    promptTokens: 4,
    cachedTokens: 0,
    generatedTokens: 20,
    recomputedTokens: 0,
    queuedMs: 0,
    servedMs: 500,
    firstTokenMs: 31,
    tokensPerSecond: 40,
    left: {},
  };

  it("says what a generation took", () => {
    expect(statsLine(usage)).toBe(
      "4 tokens in, 20 out, first after 31 ms, waited 0, served 500 ms, 40.0 tokens/s",
    );
    expect(statsLine({ ...usage, servedMs: 0, tokensPerSecond: 0 })).toMatch(/, - tokens\/s$/);
  });
});
