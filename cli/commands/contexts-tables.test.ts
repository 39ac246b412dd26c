import pc from "picocolors";
import { describe, expect, it } from "vitest";
import type { ContextStat, Memory } from "../../syscalls/index.js";
import { contextLines, contextsTable, segmentsTable } from "./ctx.js";
import { holdersTable, rebuiltLines, tiersTable } from "./free.js";

const plain = pc.createColors(false);

const stat: ContextStat = {
  ...{ cid: "n1.3", owner: "n1.17", principal: "admin", model: "tiny", engine: "abc" },
  ...{ length: 1234, given: 1000, generated: 234, resident: 1233, slot: 2, window: 2048 },
  ...{ pinned: false, share: "principal", ttlMs: 0, idleMs: 0, ageMs: 61_000, from: null },
  ...{ busy: true, pages: 77, pagesInMemory: 70, pagesSwapped: 77 },
  ...{ segments: [], filedSegments: 0, filedTokens: 0, overflow: "oldest", summaries: false },
};
const kept: ContextStat = {
  ...{ ...stat, cid: "n1.4", owner: null, busy: false, idleMs: 3000, slot: null, resident: 0 },
  ...{ pinned: true, share: "all", ttlMs: 60_000, from: "n1.3", window: 0 },
};

describe("contextsTable", () => {
  it("shows who holds what, and what is special", () => {
    expect(contextsTable([stat, kept], plain)).toBe(
      [
        "CID   HOLDER  TOKENS     OF  IN SLOT  PAGES  IN MEMORY  SWAPPED    IDLE  MODEL",
        "n1.3  n1.17    1,234  2,048    1,233     77         70       77  in use  tiny",
        "n1.4  kept     1,234      -        0     77         70       77   3.0 s  tiny   pinned, shared with all, ttl 1m00s, fork of n1.3",
      ].join("\n"),
    );
  });

  it("says so when there is none", () => {
    expect(contextsTable([], plain)).toBe("there are no contexts");
  });
});

describe("contextLines", () => {
  it("tells all of one context", () => {
    const lines = new Map(contextLines(kept));
    expect(lines.get("holder")).toBe("nobody: it is kept (admin)");
    expect(lines.get("slot")).toBe("none");
    expect(lines.get("last use")).toBe("3.0 s ago");
    expect(new Map(contextLines(stat)).get("tokens")).toBe(
      "1,234 of 2,048: 1,000 given, 234 generated",
    );
  });
});

describe("segments", () => {
  const plainOne = { pinned: false, filed: false, copyOf: null, stands: [] };
  const history = { ...plainOne, kind: "history", role: "user" } as const;
  const filled: ContextStat = {
    ...{ ...stat, filedSegments: 4, filedTokens: 900, summaries: true },
    segments: [
      { ...plainOne, segment: 1, kind: "system", role: "system", tokens: 20, pinned: true },
      { ...history, segment: null, kind: "stub", tokens: 40, pinned: true, stands: [2, 4, 5, 6] },
      { ...history, segment: 8, tokens: 300, copyOf: 2 },
      { ...history, segment: 2, tokens: 300, filed: true },
    ],
  };

  it("are shown in their order, with what became of them", () => {
    expect(segmentsTable(filled, plain)).toBe(
      [
        "SEGMENT  KIND     ROLE    TOKENS  WHERE",
        "      1  system   system      20  in place   stays",
        "      -  note                 40  in place   for 2, 4 to 6",
        "      8  history  user       300  in place   recalled, of 2",
        "      2  history  user       300  moved out",
      ].join("\n"),
    );
    const overflow = (ctx: ContextStat) => new Map(contextLines(ctx)).get("overflow");
    expect(overflow(filled)).toBe(
      "oldest first, with summaries; 4 segments, 900 tokens, were moved out",
    );
    expect(overflow(stat)).toBe("oldest first; nothing was moved out");
    expect(overflow({ ...stat, overflow: "none" })).toBe("none: what does not fit is refused");
  });
});

describe("contix free", () => {
  const size = (bytes: number) => ({ bytes, bytesUsed: 2 ** 26 });
  const memory: Memory = {
    models: [
      {
        ...{ model: "tiny", contexts: 2, contextTokens: 2468 },
        ...{ tokensEntered: 4000, tokensRecomputed: 100 },
        ...{ pagesAsked: 200, pagesFound: 150 },
        ...{ pagesBad: 2, swapErrors: 1, pagesRefused: 30 },
        tiers: [
          { name: "slots", places: 16, used: 3, bytes: 0, bytesUsed: 0, evicted: 0 },
          { name: "memory", places: 1456, used: 77, ...size(2 ** 30), evicted: 1234 },
          { name: "swap", places: 2912, used: 77, ...size(2 ** 31), evicted: 0 },
          { name: "dropped", places: 0, used: 9, bytes: 0, bytesUsed: 0, evicted: 0 },
        ],
      },
    ],
    holders: [
      {
        ...{ pid: "n1.17", name: "bees", principal: "admin", contexts: 2, tokens: 2468 },
        ...{ resident: 1233, pinnedPages: 78 },
      },
      {
        ...{ pid: null, name: "", principal: "admin", contexts: 1, tokens: 5 },
        ...{ resident: 0, pinnedPages: 0 },
      },
    ],
    memoryBudget: 4 * 2 ** 30,
    memoryUsed: 2 ** 30,
  };

  it("shows tiers, hits and holders", () => {
    expect(tiersTable(memory, plain)).toBe(
      [
        "MODEL  TIER     USED     OF     BYTES       OF  EVICTED",
        "tiny   slots       3     16         -        -        -",
        "tiny   memory     77  1,456  64.0 MiB  1.0 GiB    1,234",
        "tiny   swap       77  2,912  64.0 MiB  2.0 GiB        0",
        "tiny   dropped     9      -         -        -        -",
      ].join("\n"),
    );
    expect(rebuiltLines(memory)).toEqual([
      "tiny: 2 contexts, 2,468 tokens",
      "  pages found when needed: 150 of 200 (75.0 %)",
      "  tokens computed again: 100 of 4,000 (2.5 %)",
      "  pages not kept for want of a place: 30; 2 found bad in the swap file, 1 reads and writes of it failed",
      "drivers: 1.0 GiB of 4.0 GiB",
    ]);
    expect(holdersTable(memory, plain)).toBe(
      [
        "PID    NAME  CONTEXTS  TOKENS  IN SLOTS  PINNED PAGES  PRINCIPAL",
        "n1.17  bees         2   2,468     1,233            78  admin",
        "kept   -            1       5         0             0  admin",
      ].join("\n"),
    );
  });

  it("has words for a kernel that has done nothing, and divides by nothing", () => {
    const [model] = memory.models;
    const none = { tokensEntered: 0, tokensRecomputed: 0, pagesAsked: 0, pagesFound: 0 };
    const idle = { ...memory, models: model ? [{ ...model, ...none }] : [] };
    expect(rebuiltLines(idle)[1]).toBe("  pages found when needed: 0 of 0");
    expect(tiersTable({ models: [] }, plain)).toBe("no model has run yet");
    expect(holdersTable({ holders: [] }, plain)).toBe("nobody holds a context");
  });
});
