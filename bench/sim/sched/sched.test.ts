import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { makePolicy, POLICY_NAMES } from "../../../kernel/sched/policies.js";
import { random } from "../../harness/random.js";
import { Dice } from "../dice.js";
import { program } from "../program.js";
import { Steps } from "../steps.js";
import { synthetic } from "../synthetic.js";
import type { Turn, Workload } from "../workload.js";
import { VirtualClock } from "./clock.js";
import { DEFAULT_COST, type EngineCost, scaled, stepUs } from "./cost.js";
import { fitCost, fitMoves, type MeasuredMove, type MeasuredStep } from "./fit.js";
import { Machine } from "./machine.js";
import { jain, quantile } from "./metrics.js";
import { play } from "./play.js";
import { plot } from "./plot.js";
import { arriving, callsOf, type Program, type ProgramCall } from "./programs.js";
import { recordSched } from "./record.js";
import { sweepTable } from "./report.js";
import { aloneUs, workOf } from "./sizes.js";
import { summary } from "./summary.js";
import { CLAIRVOYANT, once, sweep } from "./sweep.js";

const COST: EngineCost = { ...DEFAULT_COST, gapUs: 0, pageUs: 0, turnUs: 0 };
const MACHINE = { slots: 2, frames: 100, blocks: 0, cost: COST, quantum: 8 };

function call(index: number, given: number, output: number, more: Partial<ProgramCall> = {}) {
  const place = { index, context: index, turn: 0, after: index - 1, pauseUs: 0, closesUs: 0 };
  const tokens = { keep: 0, given: numbers(given), output: numbers(output), wait: "tool" };
  return { ...place, ...tokens, ...more };
}
const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

const lone = (id: number, at: number, calls: readonly ProgramCall[]): Program => {
  return { id, at, calls, principal: "p", nice: 0 };
};

describe("virtual time", () => {
  it("goes from one happening to the next, in their order, and not past them", () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    const note = (what: string) => () => {
      seen.push(`${what} ${clock.now()}`);
    };
    clock.at(5, note("b"));
    clock.at(5, note("c"));
    clock.after(2, note("a"));
    const cancel = clock.at(4, note("never"));
    cancel();
    expect(() => clock.pass(3)).toThrow("2 µs is before 3");
    while (clock.happen(10));
    clock.pass(10);
    expect(seen).toEqual(["a 2", "b 5", "c 5"]);
    expect(clock.now()).toBe(10);
  });
});

describe("a program alone", () => {
  it("takes what its steps and pauses take", async () => {
    const calls = [call(0, 20, 5), call(1, 10, 3, { pauseUs: 1000 })];
    const machine = new Machine({ ...MACHINE, policy: makePolicy("fifo", MACHINE) });
    const { programs } = await play(machine, [lone(0, 7, calls)], 0);
    const chunks = [20, 10].map((chunk) => ({ width: 0, context: 0, chunk, start: 0 }));
    const rows = [20, 21, 22, 23, 10, 11].map((context) => ({
      width: 1,
      context,
      chunk: 0,
      start: 0,
    }));
    const us = [...chunks, ...rows].reduce((sum, work) => sum + stepUs(COST, work), 1000);
    expect(programs).toEqual([expect.objectContaining({ at: 7, calls: 2 })]);
    expect(programs[0]?.endedAt).toBeCloseTo(7 + us, 3);
    expect(aloneUs(calls, COST)).toBeCloseTo(us, 3);
  });

  it("finds what its context holds, and what others have computed", async () => {
    const again = call(1, 4, 2, { context: 0, turn: 1, keep: 45 });
    const calls = [call(0, 40, 5, { closesUs: undefined }), again];
    const machine = new Machine({ ...MACHINE, policy: makePolicy("rr", MACHINE) });
    const late = lone(1, 1e9, [call(0, 40, 5)]);
    const { calls: records } = await play(machine, [lone(0, 0, calls), late], 0);
    // Of a prompt that was entered before, whole pages; of its own context all but the last token.
    expect(records.map(({ cached }) => cached)).toEqual([0, 44, 32]);
    expect(records.map(({ prompt }) => prompt)).toEqual([40, 49, 40]);
  });
});

describe("a program's processes", () => {
  const sub = call(1, 20, 4, { context: 1, after: 0, closesUs: 500 });
  const calls = [call(0, 20, 4), sub, call(2, 5, 2, { context: 2, after: 1 })];

  it("are one and a child for each further context, which is over and waited for before it", async () => {
    const machine = new Machine({ ...MACHINE, policy: makePolicy("fifo", MACHINE) });
    const log: string[] = [];
    machine.journal.watch((record) => {
      if (/^proc\.(created|exited|reaped)$/.test(record.type) && "pid" in record) {
        log.push(`${record.type.slice(5)} ${record.pid & 0xffffn}`);
      }
    });
    await play(machine, [lone(0, 0, calls)], 0);
    expect(log).toEqual([
      ...["created 1", "created 2", "created 3", "exited 2", "reaped 2"],
      ...["exited 3", "reaped 3", "exited 1"],
    ]);
    const [root] = machine.journal.state.processes.values();
    expect(root).toMatchObject({ principal: "p", exit: { code: 0, cause: "exit" } });
    expect(machine.journal.state.contexts.size).toBe(0);
  });

  it("are refused a place and ask again when the queue is full", async () => {
    const machine = new Machine({ ...MACHINE, queueLimit: 1, policy: makePolicy("fifo", MACHINE) });
    const crowd = numbers(8).map((id) => lone(id, 0, [call(0, 20, 30)]));
    const { programs } = await play(machine, crowd, 0);
    expect(programs).toHaveLength(8);
    expect(machine.admission.refused).toBeGreaterThan(3);
    expect(machine.admission.admitted).toBe(0);
  });
});

describe("programs of a workload", () => {
  const turn = (at: number, servedUs: number, prompt: number): Turn => {
    const made = { prompt: () => numbers(prompt), output: () => numbers(3) };
    return { at, servedUs, wait: { kind: "tool" }, ...made };
  };

  it("wait for what ended last before, and pause as long as they did", () => {
    const lives = [
      { cid: 1n, program: 4, closesAt: 100, turns: [turn(0, 10, 8), turn(60, 10, 9)] },
      { cid: 2n, program: 4, closesAt: 50, turns: [turn(20, 30, 5)] },
      { cid: 3n, closesAt: 9, turns: [turn(5, 1, 2)] },
    ];
    const [first = [], second = []] = callsOf({ name: "w", assumptions: "", lives }, 2);
    expect(
      first.map(({ context, after, pauseUs, closesUs }) => [context, after, pauseUs, closesUs]),
    ).toEqual([
      [0, -1, 0, undefined],
      [1, 0, 5, 0],
      [0, 1, 5, 15],
    ]);
    // The second prompt has of the first and its answer what they have in common.
    expect(first.map(({ keep, given }) => [keep, given.length])).toEqual([
      [0, 8],
      [0, 5],
      [8, 1],
    ]);
    expect(second).toHaveLength(1);
  });

  it("come by chance, each session once before any comes again", () => {
    const sessions = [1, 2, 3].map((given) => [call(0, given, 1)]);
    const chosen = { programs: 6, everyUs: 10, principals: 2 };
    const come = arriving(sessions, chosen, new Dice(random(3)));
    const sizes = come.map(({ calls }) => calls[0]?.given.length);
    expect([...sizes.slice(0, 3)].sort()).toEqual([1, 2, 3]);
    expect([...sizes.slice(3)].sort()).toEqual([1, 2, 3]);
    expect(arriving(sessions, chosen, new Dice(random(3)))).toEqual(come);
  });

  it("come in bursts, as often as one by one", () => {
    const gaps = (arrivals: "poisson" | "bursty"): { mean: number; cv2: number } => {
      const chosen = { programs: 40_000, everyUs: 10, principals: 1, arrivals };
      const times = arriving([[call(0, 1, 1)]], chosen, new Dice(random(4))).map(({ at }) => at);
      const each = times.map((at, i) => at - (times[i - 1] ?? 0));
      const mean = each.reduce((sum, gap) => sum + gap, 0) / each.length;
      const spread = each.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / each.length;
      return { mean, cv2: spread / mean ** 2 };
    };
    const [poisson, bursty] = [gaps("poisson"), gaps("bursty")];
    expect(poisson.mean / 10).toBeCloseTo(1, 1);
    expect(bursty.mean / 10).toBeCloseTo(1, 1);
    // Of gaps that know nothing of each other it is 1.
    expect(poisson.cv2).toBeCloseTo(1, 1);
    expect(bursty.cv2).toBeGreaterThan(10);
  });
});

const small: Workload = synthetic(6, new Dice(random(2)));
const settings = {
  policies: [...POLICY_NAMES, CLAIRVOYANT],
  ...{ loads: [0.8, 0.9], seeds: [1], programs: 6, warmUp: 1, principals: 3 },
  ...{ slots: 2, quantum: 16, frames: 2000, blocks: 0, cost: DEFAULT_COST },
};

describe("a sweep", () => {
  it("plays the same programs under each policy, and the same again", async () => {
    const sessions = callsOf(small, 1).map((calls) => calls.slice(0, 4));
    const result = await sweep(small, sessions, settings, new Steps(), () => {});
    const loads = summary(result);
    expect(loads.map(({ load }) => load)).toEqual([0.8, 0.9]);
    for (const { rows } of loads) {
      expect(rows.map(({ policy }) => policy)).toEqual(settings.policies);
      expect(rows.find(({ policy }) => policy === "fifo")).toMatchObject({
        ofFifo: 1,
        switches: 0,
      });
    }
    expect(sweepTable(result)).toMatch(/\| 0\.80 +\| fifo/);
    expect(plot("w", loads)).toContain("</svg>");
    expect(plot("w", loads.slice(0, 1))).toBeUndefined();
    const programs = arriving(sessions, { ...settings, everyUs: 1e6 }, new Dice(random(1)));
    const [one, two] = [
      await once("program", programs, settings),
      await once("program", programs, settings),
    ];
    expect(one.played).toEqual(two.played);
  });

  it("has a clairvoyant that lets the short program go before the long one", async () => {
    const long = lone(
      0,
      0,
      numbers(6).map((i) => call(i, 40, 40)),
    );
    const short = lone(1, 1000, [call(0, 40, 4)]);
    const ends = async (policy: string): Promise<readonly number[]> => {
      const { played } = await once(policy, [long, short], { ...settings, slots: 1 });
      return played.programs.map(({ id }) => id);
    };
    expect(workOf(long.calls)).toBe(6 * 44);
    expect(await ends(CLAIRVOYANT)).toEqual([1, 0]);
    const late = { ...short, at: 1000, calls: numbers(3).map((i) => call(i, 40, 40)) };
    const { metrics } = await once(CLAIRVOYANT, [long, late], { ...settings, slots: 1 });
    const { metrics: fifo } = await once("fifo", [long, late], { ...settings, slots: 1 });
    expect(metrics.meanResponse).toBeLessThan(fifo.meanResponse);
  });
});

describe("the engine's cost", () => {
  it("is found again from steps that cost so much", () => {
    const steps = [1, 4, 8].flatMap((width) =>
      [0, 32, 64].flatMap((chunk) =>
        [64, 512].map((context): MeasuredStep => {
          const work = { width, context: width * context, chunk, start: context };
          return { ...work, us: stepUs(DEFAULT_COST, work) };
        }),
      ),
    );
    const fitted = fitCost(steps);
    for (const name of [
      "decodeUs",
      "rowUs",
      "contextUs",
      "chunkUs",
      "tokenUs",
      "depthUs",
    ] as const) {
      expect(fitted[name] / DEFAULT_COST[name]).toBeCloseTo(1, 3);
    }
    expect(() => fitCost(steps.slice(0, 3))).toThrow("3 steps");
    expect(scaled(DEFAULT_COST, 2)).toMatchObject({ decodeUs: 38_000, gapUs: DEFAULT_COST.gapUs });
  });
});

describe("the cost of moving pages", () => {
  const moves = (["page", "read", "write"] as const).flatMap((kind, i) =>
    [1, 4, 16].map((pages): MeasuredMove => ({ kind, pages, us: 100 * (i + 1) * pages })),
  );

  it("is what a page of a move took, however long the disk held one of them up", () => {
    const held: MeasuredMove = { kind: "write", pages: 4, us: 1e6 };
    expect(fitMoves([...moves, held, { kind: "page", pages: 0, us: 5 }])).toEqual({
      pageUs: 100,
      readUs: 200,
      writeUs: 300,
    });
  });

  it("is not made up where a kind was not measured", () => {
    const unread = moves.filter(({ kind }) => kind !== "read");
    expect(() => fitMoves(unread)).toThrow("no move of the kind read to fit");
  });
});

describe("figures", () => {
  it("are those of the books", () => {
    expect(jain([1, 1, 1])).toBe(1);
    expect(jain([1, 0, 0, 0])).toBe(0.25);
    expect(quantile([3, 1, 2, 4], 0.5)).toBe(2);
    expect(quantile(numbers(100), 0.99)).toBe(98);
  });
});

describe("a report", () => {
  it("is of sweeps of one workload, that came in one way", async () => {
    const folder = mkdtempSync(join(tmpdir(), "contix-sched-"));
    const kept = (arrivals?: string): string => {
      const file = join(folder, `${arrivals}.json`);
      const options = { seeds: [1], loads: [1], arrivals };
      writeFileSync(file, JSON.stringify({ workload: "w", capacity: 1, options, runs: [] }));
      return file;
    };
    try {
      await expect(recordSched([kept(), kept("bursty")])).rejects.toThrow("these are of several");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("sim sched", () => {
  it.each([
    [["--loads", "0"], /Expected shares/],
    [["--seeds", "9-3"], /Expected seeds/],
    [["--policy", "best"], /Expected some of fifo/],
    [["--arrivals", "never"], /Allowed choices are poisson, bursty/],
    [["--engine", "/nowhere.json"], /nowhere.json is no cost of an engine/],
    [["--slots", "0"], /at least 1/],
  ])("refuses %j", async (flags, message) => {
    const command = program();
    const said: string[] = [];
    for (const each of [command, ...command.commands]) {
      each.configureOutput({ writeErr: (text) => said.push(text) });
    }
    const run = command.parseAsync(["sched", ...flags], { from: "user" });
    const failed = await run.then(
      () => "",
      (error: Error) => `${said.join("")}${error.message}`,
    );
    expect(failed).toMatch(message);
  });
});
