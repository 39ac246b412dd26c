/** What policies promise of the real engine, on the virtual one: the workloads of `bench sched-fair` and `sched-latency`. */
import { describe, expect, it } from "vitest";
import { random } from "../../harness/random.js";
import { Dice } from "../dice.js";
import { DEFAULT_COST } from "./cost.js";
import { jain, quantile } from "./metrics.js";
import type { Played } from "./play.js";
import type { Program } from "./programs.js";
import { once } from "./sweep.js";

const SECOND = 1e6;

interface Ask {
  readonly at: number;
  readonly principal: string;
  readonly tokens: number;
}

/** Programs of one call each, whose prompts have nothing in common. */
function programs(asks: readonly Ask[], given: number): Program[] {
  const sorted = [...asks].sort((a, b) => a.at - b.at);
  return sorted.map(({ at, principal, tokens }, id) => {
    const prompt = Array.from({ length: given }, (_, i) => id * 10_000 + i);
    const output = new Array<number>(tokens).fill(7);
    const place = { index: 0, context: 0, turn: 0, after: -1, pauseUs: 0, closesUs: 0 };
    const calls = [{ ...place, keep: 0, given: prompt, output, wait: "tool" }];
    return { id, at, principal, nice: 0, calls };
  });
}

async function play(policy: string, slots: number, asked: readonly Program[]): Promise<Played> {
  // All may wait at once: what is looked at is who is served, not who is refused.
  const machine = {
    ...{ slots, quantum: 64, frames: 20_000, blocks: 0, cost: DEFAULT_COST },
    queueLimit: 10_000,
  };
  return (await once(policy, asked, machine)).played;
}

describe("fair, beside one that offers twenty times what each of nine others does", () => {
  const [OTHERS, GIVEN, TOKENS, GREED, SLOTS] = [9, 45, 32, 20, 4];
  /** Tokens a second of four slots on this engine; each of the others offers 4 % of them. */
  const CAPACITY = 110;
  const EVERY_US = (SECOND * TOKENS) / (0.04 * CAPACITY);

  const [WARM, END] = [10 * SECOND, 70 * SECOND];

  function open(seed: number, greedy: boolean): Program[] {
    const asks: Ask[] = [];
    for (let i = greedy ? 0 : 1; i <= OTHERS; i++) {
      const dice = new Dice(random(seed * 1000 + i));
      const every = i === 0 ? EVERY_US / GREED : EVERY_US;
      // All are known: each has had a call before.
      asks.push({ at: 0, principal: `p${i}`, tokens: TOKENS });
      for (let at = WARM + dice.exponential(every); at < END; at += dice.exponential(every)) {
        asks.push({ at, principal: `p${i}`, tokens: TOKENS });
      }
    }
    return programs(asks, GIVEN);
  }

  it("keeps the others' p99 within 1.5 times what it is without it", async () => {
    const ratios: number[] = [];
    for (const seed of [1, 2, 3]) {
      const p99 = async (greedy: boolean): Promise<number> => {
        const { calls } = await play("fair", SLOTS, open(seed, greedy));
        const others = calls.filter((call) => call.principal !== "p0" && call.askedAt > WARM);
        return quantile(
          others.map(({ askedAt, endedAt }) => endedAt - askedAt),
          0.99,
        );
      };
      ratios.push((await p99(true)) / (await p99(false)));
    }
    expect(quantile(ratios, 0.5)).toBeLessThan(1.5);
  });

  it("serves alike all that always have something waiting", async () => {
    const asks = Array.from({ length: OTHERS + 1 }, (_, i) =>
      new Array<Ask>(i === 0 ? 200 : 60).fill({ at: 0, principal: `p${i}`, tokens: TOKENS }),
    );
    const { calls } = await play("fair", SLOTS, programs(asks.flat(), GIVEN));
    const end = 90 * SECOND;
    const served = asks.map((_, i) => {
      const mine = calls.filter(({ principal, endedAt }) => principal === `p${i}` && endedAt < end);
      return mine.length * TOKENS;
    });
    expect(Math.min(...served)).toBeGreaterThan(500);
    expect(jain(served)).toBeGreaterThan(0.99);
  });
});

describe("rr, for calls of 20 tokens behind bursts of 1,500", () => {
  it("shortens their p99 wait ten times against fifo, at nine tenths of its tokens a second", async () => {
    const [LONGS, SLOTS] = [6, 2];
    const asks: Ask[] = Array.from({ length: LONGS }, () => {
      return { at: 0, principal: "long", tokens: 1500 };
    });
    for (let at = SECOND; at < 60 * SECOND; at += 2 * SECOND) {
      asks.push({ at, principal: "short", tokens: 20 });
    }
    const run = async (policy: string) => {
      const { calls } = await play(policy, SLOTS, programs(asks, 50));
      const waits = calls.filter(({ principal }) => principal === "short");
      const p99 = quantile(
        waits.map(({ queuedUs }) => queuedUs),
        0.99,
      );
      const end = Math.max(...calls.map(({ endedAt }) => endedAt));
      return { p99, speed: calls.reduce((sum, { generated }) => sum + generated, 0) / end };
    };
    const [fifo, rr] = [await run("fifo"), await run("rr")];
    expect(fifo.p99 / rr.p99).toBeGreaterThan(10);
    expect(rr.speed / fifo.speed).toBeGreaterThan(0.9);
  });
});
