import fc from "fast-check";
import pc from "picocolors";
import { describe, expect, it } from "vitest";
import type { ProcInfo, Stats, Uname } from "../../syscalls/index.js";
import { type Act, coveredMs, type Player, update } from "./act.js";
import { answerIn, openingOf } from "./cast.js";
import { picture, plainScreen } from "./screen.js";
import { report, summaryText } from "./summary.js";

const plain = pc.createColors(false);

function player(of: Partial<Player> = {}): Player {
  return {
    name: "bees",
    pid: "n1.2",
    state: "ended",
    waitingOn: "",
    slot: null,
    tokensIn: 400,
    tokensOut: 90,
    queuedMs: 10,
    firstTokenMs: 600,
    ageMs: 2_000,
    startedMs: 0,
    exitCode: 0,
    answer: "Bees keep warm.",
    failure: "",
    ...of,
  };
}

describe("coveredMs", () => {
  it("counts time once that several agents share, and gaps not at all", () => {
    const span = (startedMs: number, ageMs: number) => ({ startedMs, ageMs });
    expect(coveredMs([])).toBe(0);
    expect(coveredMs([span(0, 10), span(2, 5), span(8, 4)])).toBe(12);
    expect(coveredMs([span(100, 10), span(0, 10)])).toBe(20);
  });

  it("lies between the longest life and the sum of all", () => {
    const span = fc.record({ startedMs: fc.nat(1000), ageMs: fc.nat(1000) });
    fc.assert(
      fc.property(fc.array(span, { minLength: 1 }), (spans) => {
        const covered = coveredMs(spans);
        const lives = spans.map(({ ageMs }) => ageMs);
        expect(covered).toBeGreaterThanOrEqual(Math.max(...lives));
        expect(covered).toBeLessThanOrEqual(lives.reduce((a, b) => a + b, 0));
      }),
    );
  });
});

describe("update", () => {
  const row = { state: "running", waitingOn: "", slot: 1, tokensIn: 5, queuedMs: 0 };

  it("takes the age at which the first token was seen, once", () => {
    const at = (ageMs: number, tokensOut: number): ProcInfo =>
      ({ ...row, ageMs, tokensOut }) as ProcInfo;
    const before = update(player({ firstTokenMs: null, tokensOut: 0 }), at(100, 0));
    expect(before.firstTokenMs).toBeNull();
    const first = update(before, at(200, 1));
    expect(first.firstTokenMs).toBe(200);
    expect(update(first, at(300, 9)).firstTokenMs).toBe(200);
  });
});

describe("the cast", () => {
  it("opens a text with whole paragraphs", () => {
    const text = "aaaa\n\nbbbb\n\ncccc\n";
    expect(openingOf(text, 10)).toBe("aaaa\n\nbbbb");
    expect(openingOf(text, 1)).toBe("aaaa");
    expect(openingOf(text, 100)).toBe("aaaa\n\nbbbb\n\ncccc");
  });

  it("tells an answer from lines of progress", () => {
    expect(answerIn("summarize: 1 of 1 chunks of x\nIt is so.\nAnd so.\n")).toBe(
      "It is so.\nAnd so.",
    );
  });
});

describe("the screens", () => {
  it("draw every agent and mark what has become of it", () => {
    const players = [
      player(),
      player({ name: "salt", state: "ready", waitingOn: "slot", firstTokenMs: null }),
      player({ name: "maps", state: "running", slot: 3 }),
      player({ name: "tides", failure: "exit code 1: no" }),
    ];
    const text = picture("title", players, 1_500, plain);
    expect(text).toContain("title  1.5 s");
    expect(text).toMatch(/salt +n1\.2 +ready +slot +- +400 +90 +- +2\.0 s/);
    expect(text).toContain("✓ · ▮ ✗  360 tokens out");
  });

  it("without a terminal say each change once", () => {
    const lines: string[] = [];
    const screen = plainScreen("title", (line) => lines.push(line));
    screen.show([player({ state: "running", slot: 1, tokensOut: 1 })], 100);
    screen.show([player({ state: "running", slot: 1, tokensOut: 2 })], 200);
    screen.show([player()], 300);
    expect(lines).toEqual([
      "title",
      "   0.1 s  bees (n1.2): running, slot 1, 400 tokens in, 1 out",
      "   0.3 s  bees (n1.2): done, 400 tokens in, 90 out",
    ]);
  });
});

describe("the report", () => {
  const uname = { model: "m", driver: "fake", engineDigest: "d" } as Uname;
  const stats = (tokensPrefilled: number): Stats =>
    ({ slots: 8, tokensPrefilled, tokensRecomputed: 0, steps: 0 }) as Stats;
  const act = (players: Player[], wallMs: number): Act => ({
    players,
    wallMs,
    before: stats(0),
    after: stats(800),
  });
  const two = (of: Partial<Player> = {}): Player[] => [player(), player({ name: "salt", ...of })];

  it("sums and compares", () => {
    const result = report(uname, act(two({ firstTokenMs: 1_000 }), 2_000), act(two(), 4_000));
    expect(result.speedup).toBe(2);
    expect(result.sameAnswers).toBe(2);
    expect(result.failed).toEqual([]);
    expect(result.together).toMatchObject({
      tokensIn: 800,
      tokensOut: 180,
      tokensPrefilled: 800,
      tokensPerSecond: 90,
      firstTokenMs: { mean: 800, max: 1_000 },
    });
  });

  it("finds answers that differ, and agents that failed in either act", () => {
    const result = report(
      uname,
      act(two(), 1),
      act(two({ answer: "Else.", failure: "exit code 1: x" }), 1),
    );
    expect(result.sameAnswers).toBe(1);
    expect(result.failed).toEqual(["salt: exit code 1: x"]);
  });

  it("ends with two lines of each answer and both times", () => {
    const answer = "word ".repeat(100);
    const result = report(uname, act(two({ answer }), 2_000), act(two({ answer }), 4_000));
    const lines = summaryText(result, 60, plain).split("\n");
    const salt = lines.indexOf("salt");
    expect(lines[salt + 2]).toMatch(/…$/);
    expect(lines[salt + 3]).toBe("");
    expect(lines.some((line) => /^2 at once +2\.0 s/.test(line))).toBe(true);
    expect(lines.some((line) => /^one by one +4\.0 s/.test(line))).toBe(true);
    expect(lines.at(-1)).toBe(
      "2.00 times as fast together. 2 of 2 answers are the same both times, byte for byte.",
    );
  });
});
