import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Outcome, Plan, RowOutcome } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { TokenLogprob } from "../../../proto/gen/contix/v1/calls.js";
import { Gathering } from "./gathering.js";
import { planOf } from "./testing/plans.js";

/** What is said, and the hand that moves the clock. */
function gathering() {
  const said: Outcome[] = [];
  let now = 0;
  const gathered = new Gathering({ report: (outcome) => said.push(outcome), nowUs: () => now });
  const pass = (us: number): void => {
    now += us;
  };
  return { gathered, said, pass };
}

const plan = (gatherUs: number): Plan => planOf(1n, { steps: 64, gatherUs });

function row(burst: number, token: number, finish = ""): RowOutcome {
  const sampled = token < 0 ? [] : [token];
  return {
    burst: BigInt(burst),
    slot: burst,
    length: token,
    sampled,
    text: `${token}`,
    finish,
    stop: "",
  };
}

function logprob(token: number): TokenLogprob {
  return { token, logprob: -token, bytes: Buffer.alloc(0), special: "", top: [] };
}

function outcome(step: number, rows: RowOutcome[], last = false): Outcome {
  return { plan: 1n, step, steps: 1, stepUs: 10, last, rows };
}

describe("outcomes on their way to the kernel", () => {
  it("tell of each step where nothing is to be gathered", () => {
    const { gathered, said } = gathering();
    for (let step = 0; step < 3; step++)
      gathered.add(outcome(step, [row(1, step)]), plan(0), false);
    expect(said.map(({ step, steps }) => [step, steps])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
  });

  it("tell of steps alike as one, when their time has come", () => {
    const { gathered, said, pass } = gathering();
    for (let step = 0; step < 6; step++) {
      gathered.add(outcome(step, [row(1, step), row(2, step)]), plan(20), false);
      pass(10);
    }
    expect(said.map(({ step, steps, stepUs }) => [step, steps, stepUs])).toEqual([
      [0, 1, 10],
      [2, 2, 20],
      [4, 2, 20],
    ]);
    expect(said[1]?.rows[1]).toEqual({ ...row(2, 2), sampled: [1, 2], text: "12" });
  });

  it("tell of the log probabilities of all that was gathered", () => {
    const { gathered, said } = gathering();
    for (let step = 0; step < 4; step++) {
      const told = { logprobs: { tokens: [logprob(step)] } };
      const rows = [{ ...row(1, step), ...told }, row(2, step)];
      gathered.add(outcome(step, rows, step === 3), plan(1e9), false);
    }
    expect(said.map(({ rows }) => rows[0]?.logprobs?.tokens)).toEqual([
      [logprob(0)],
      [1, 2, 3].map(logprob),
    ]);
    expect(said.map(({ rows }) => rows[1]?.logprobs)).toEqual([undefined, undefined]);
  });

  it.each([
    ["that somebody waits for", outcome(2, [row(1, 2)]), true],
    ["with an end", outcome(2, [row(1, 2, "eos")]), false],
    ["in which a row sampled nothing", outcome(2, [row(1, -1)]), false],
    ["of other rows", outcome(2, [row(2, 2)]), true],
    ["that is a plan's last", outcome(2, [row(1, 2)], true), false],
    ["near a plan's end", outcome(56, [row(1, 2)]), false],
  ])("hold back nothing before a step %s", (_, next, awaited) => {
    const { gathered, said } = gathering();
    for (let step = 0; step < 2; step++)
      gathered.add(outcome(step, [row(1, step)]), plan(1e9), false);
    expect(said.length).toBe(1);
    gathered.add(next, plan(1e9), awaited);
    expect(said.flatMap(({ rows }) => rows.flatMap(({ sampled }) => sampled)).length).toBe(
      2 + (next.rows[0]?.sampled.length ?? 0),
    );
    expect(said.at(-1)).toMatchObject({ step: next.step, last: next.last });
  });

  it("lose nothing and keep the order, whatever happens", () => {
    const event = fc.record({
      rows: fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 }),
      ends: fc.integer({ min: 0, max: 9 }),
      awaited: fc.boolean(),
      us: fc.integer({ min: 0, max: 30 }),
    });
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 60 }),
        fc.integer({ max: 99, min: 0 }),
        (events, us) => {
          const { gathered, said, pass } = gathering();
          const told: string[][] = [[], [], [], []];
          for (const [step, { rows, ends, awaited, us: later }] of events.entries()) {
            const finish = (burst: number): string => (burst === ends ? "eos" : "");
            const entries = rows.map((burst) => row(burst, step, finish(burst)));
            for (const { slot, text } of entries) told[slot]?.push(text);
            gathered.add(outcome(step, entries), plan(us), awaited);
            if (awaited) expect(said.at(-1)?.step).toBe(step);
            pass(later);
          }
          gathered.flush();
          for (const [slot, texts] of told.entries()) {
            const rows = said.flatMap((each) => each.rows.filter((one) => one.slot === slot));
            expect(rows.map(({ text }) => text).join("")).toBe(texts.join(""));
            expect(rows.flatMap(({ sampled }) => sampled).map(String)).toEqual(texts);
          }
          expect(said.reduce((sum, { steps }) => sum + steps, 0)).toBe(events.length);
          expect(said.map(({ step }) => step)).toEqual(
            said.map(({ step }) => step).sort((a, b) => a - b),
          );
        },
      ),
    );
  });
});
