import { describe, expect, it } from "vitest";
import { FakeModel } from "./model.js";
import { fakeOptions } from "./options.js";
import type { Clock } from "./pace.js";

/** A clock whose timers come exactly `late` microseconds too late. */
class TestClock implements Clock {
  now = 0;
  readonly slept: number[] = [];
  constructor(readonly late = 0) {}
  nowUs = () => this.now;
  sleep = async (ms: number) => {
    this.slept.push(ms);
    this.now += ms * 1000 + this.late;
  };
}

const row = (position: number) => ({ slot: 0, position, token: 97, wantLogits: false });

function model(options: object, clock = new TestClock()) {
  const crashes: number[] = [];
  const ports = { clock, crash: () => void crashes.push(clock.now) };
  const fake = new FakeModel(
    { slots: 2, slotTokens: 64 },
    fakeOptions(JSON.stringify(options)),
    ports,
  );
  return { fake, clock, crashes };
}

describe("FakeModel", () => {
  it("takes the time of its runs, on average", async () => {
    const { fake, clock } = model({ stepUs: 300, tokenUs: 50 }, new TestClock(70));
    for (let i = 0; i < 50; i++) await fake.decode([row(i), { ...row(i), slot: 1 }]);
    expect(Math.abs(clock.now - 50 * 400)).toBeLessThan(1100);
    const before = clock.now;
    await model({ prefillTokenUs: 1000 }, clock).fake.prefill(0, 0, [1, 2, 3], false);
    expect(clock.now - before).toBe(3070);
  });

  it("does not take a late timer as a reason to run for free for long", async () => {
    const { fake, clock } = model({ stepUs: 1000 }, new TestClock(1_000_000));
    for (let i = 0; i < 8; i++) await fake.decode([row(i)]);
    expect(clock.slept.length).toBe(2);
  });

  it("gives logits to the rows that want them, in their order", async () => {
    const { fake } = model({});
    await fake.prefill(0, 0, [1, 2], false);
    const alone = (await fake.prefill(1, 0, [3, 4, 5], true))?.slice();
    await fake.copy(1, 0, 2);
    const rows = [
      { slot: 0, position: 2, token: 9, wantLogits: false },
      { slot: 1, position: 3, token: 9, wantLogits: true },
    ];
    expect((await fake.decode(rows)).length).toBe(1);
    expect((await fake.prefill(0, 1, [4, 5], true))?.slice()).toEqual(alone);
  });

  it("crashes and hangs when told to", async () => {
    const { fake, crashes } = model({ crashAfterSteps: 2 });
    for (let i = 0; i < 2; i++) await fake.decode([row(i)]);
    expect(crashes.length).toBe(0);
    await fake.decode([row(2)]);
    expect(crashes.length).toBe(1);

    const hanging = model({ hangAfterSteps: 1 }).fake;
    await hanging.decode([row(0)]);
    const first = await Promise.race([
      hanging.decode([row(1)]).then(() => "ran"),
      new Promise((resolve) => setImmediate(() => resolve("hangs"))),
    ]);
    expect(first).toBe("hangs");
  });

  it("needs slots", () => {
    expect(() => new FakeModel({ slots: 0, slotTokens: 64 }, fakeOptions(""))).toThrow(
      expect.objectContaining({ code: "EINVAL" }),
    );
  });
});

describe("fakeOptions", () => {
  it("has defaults", () => {
    expect(fakeOptions("")).toEqual(fakeOptions("{}"));
    expect(fakeOptions('{"words": 7}')).toMatchObject({ words: 7, seed: 1, stepUs: 0 });
  });

  it.each(["{", "[]", "3", '{"other": 1}', '{"seed": "1"}', '{"stepUs": -1}', '{"failOpen": 1}'])(
    "refuses %s",
    (json) => {
      expect(() => fakeOptions(json)).toThrow(
        expect.objectContaining({ code: "EINVAL", argument: "options" }),
      );
    },
  );
});
