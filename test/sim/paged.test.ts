/**
 * Law 2 against paging: contexts that share prefixes, over a pool of few frames and few
 * blocks, preempted, forked, cut, cancelled, with drivers that die and a swap file that
 * spoils pages and fails. Every token is what the rules give it, the pool's books add up
 * whenever somebody looks, and at the end nothing has leaked. On some engines all ways in
 * are one: there the rules ask of no token how it entered.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EVICTION_NAMES, evictionPolicy } from "../../kernel/mm/eviction/policies.js";
import { PageCosts } from "../../kernel/mm/page-costs.js";
import { PagePool } from "../../kernel/mm/pool.js";
import type { Burst } from "../../kernel/sched/burst.js";
import { roundRobin } from "../../kernel/sched/policies/rr.js";
import { PageFiller, type Place } from "../../servers/llm/engine/page-memory.js";
import { MemorySwap } from "../../servers/llm/engine/testing/memory-swap.js";
import { Sampler } from "../../servers/llm/sampling/sampler.js";
import { EOS, HashModel, VOCAB } from "../support/in-process-driver.js";
import { Machine, samplingOf, type Turn, WINDOW } from "./machine.js";

const RUNS = Number(process.env.CONTIX_SIM_RUNS ?? 60);
/** Repeats a run: a failure prints its seed. */
const SEED = process.env.CONTIX_SIM_SEED;
const SHRINK = process.env.CONTIX_SIM_SHRINK !== "0";
const LIMIT_MS = 60_000 + RUNS * 1000;
const PAGE_BYTES = 64;

/** What happens to a context, in order. */
type Deed =
  | { readonly kind: "turn"; readonly turn: Turn }
  /** Cut to this part of its length, in percent. */
  | { readonly kind: "cut"; readonly percent: number }
  /** Another context begins as a copy, and does these. */
  | { readonly kind: "fork"; readonly deeds: readonly Deed[] };
interface Story {
  readonly deeds: readonly Deed[];
  readonly nice: number;
}
interface Mishap {
  readonly after: number;
  readonly kind: "crash" | "cancel" | "pause" | "spoil" | "refuse" | "crowd";
}
interface Token {
  readonly token: number;
  readonly given: boolean;
}

/** The whole history by the rules, computed anew, and the logits behind it. */
async function logitsOf(history: readonly Token[], oneWay: boolean): Promise<Float32Array> {
  const model = new HashModel(1, WINDOW, 0, oneWay);
  let logits: Float32Array | undefined;
  for (let at = 0; at < history.length; ) {
    let end = at + 1;
    while (history[end]?.given === history[at]?.given && end < history.length) end++;
    const run = history.slice(at, end).map(({ token }) => token);
    if (history[at]?.given && run.length > 1) logits = await model.prefill(0, at, run, true);
    else {
      for (const [i, token] of run.entries()) {
        const row = { slot: 0, position: at + i, token, wantLogits: true };
        [logits] = await model.decode([row]);
      }
    }
    at = end;
  }
  if (!logits) throw new Error("no logits");
  return logits;
}

/** What every context of a story ends with, the forks behind what they were forked from. */
async function byTheRules(
  deeds: readonly Deed[],
  oneWay: boolean,
  from: readonly Token[] = [],
): Promise<(readonly number[])[]> {
  let history = [...from];
  const forks: (readonly number[])[] = [];
  for (const deed of deeds) {
    if (deed.kind === "fork") forks.push(...(await byTheRules(deed.deeds, oneWay, history)));
    else if (deed.kind === "cut") history = history.slice(0, cutOf(history.length, deed.percent));
    else if (fits(history.length, deed.turn)) {
      for (const token of deed.turn.given) history.push({ token, given: true });
      await generate(history, deed.turn, oneWay);
    }
  }
  return [history.map(({ token }) => token), ...forks];
}

async function generate(history: Token[], turn: Turn, oneWay: boolean): Promise<void> {
  const sampler = new Sampler(samplingOf(turn), history.length);
  for (let n = 0, token = -1; n < turn.maxTokens && token !== EOS; n++) {
    if (history.length === WINDOW) break;
    const logits = await logitsOf(history, oneWay);
    token = sampler.sample(
      logits,
      history.length,
      history.map((one) => one.token),
    );
    history.push({ token, given: false });
  }
}

const cutOf = (length: number, percent: number): number => Math.floor((length * percent) / 100);
const fits = (length: number, { given }: Turn): boolean => length + given.length < WINDOW;

/** A swap file that can be told to fail, and to spoil what it holds. */
class WornSwap extends MemorySwap {
  refusing = 0;
  crowded = 0;
  spoiling = 0;

  override async write(block: number, name: Uint8Array, page: readonly Uint8Array[]) {
    if (this.refusing > 0) {
      this.refusing--;
      return "no space";
    }
    if (this.crowded > 0) {
      this.crowded--;
      return "busy";
    }
    return super.write(block, name, page);
  }

  override async read(block: number, name: Uint8Array, place: Place) {
    if (this.spoiling > 0) {
      this.spoiling--;
      new PageFiller(place.memory, new Uint8Array(PAGE_BYTES).fill(0xee)).fill(place.at);
      return "bad page";
    }
    return super.read(block, name, place);
  }
}

interface Setting {
  readonly slots: number;
  readonly quantum: number;
  readonly frames: number;
  readonly blocks: number;
  readonly eviction: (typeof EVICTION_NAMES)[number];
  readonly oneWay: boolean;
}

class Theatre implements AsyncDisposable {
  readonly machine: Machine;
  readonly pool: PagePool;
  readonly swap: WornSwap;
  readonly #alive = new Set<Burst>();
  readonly #noise: { burst: Burst; cid: bigint }[] = [];
  #stopped = false;
  #calm = false;

  constructor({ slots, quantum, frames, blocks, eviction, oneWay }: Setting) {
    this.swap = new WornSwap(blocks);
    this.pool = new PagePool({
      ...{ engineDigest: "hash", pageBytes: PAGE_BYTES, frames, blocks },
      ...{ costs: new PageCosts(PAGE_BYTES), eviction: (ports) => evictionPolicy(eviction, ports) },
    });
    this.machine = new Machine(slots, roundRobin(quantum), this, oneWay);
  }

  async play(deeds: readonly Deed[], nice: number, cid = this.machine.openContext()) {
    const { machine } = this;
    const forks: Promise<(readonly number[])[]>[] = [];
    for (const deed of deeds) {
      const { length } = machine.tokens(cid);
      if (deed.kind === "turn") {
        if (fits(length, deed.turn)) await this.#turn(cid, deed.turn, nice);
      } else if (deed.kind === "cut") machine.cutContext(cid, cutOf(length, deed.percent));
      else forks.push(this.play(deed.deeds, nice, machine.fork(cid)));
    }
    const tokens = machine.tokens(cid);
    machine.closeContext(cid);
    return [tokens, ...(await Promise.all(forks)).flat()];
  }

  async #turn(cid: bigint, turn: Turn, nice: number): Promise<void> {
    let mine: Burst | undefined;
    await this.machine.turn(cid, turn, nice, (burst) => {
      mine = burst;
      this.#alive.add(burst);
    });
    if (mine) this.#alive.delete(mine);
  }

  /** No mishap comes any more, and what came is over: nothing enters a slot of the next driver. */
  async calm(): Promise<void> {
    this.#calm = true;
    await this.machine.settled();
  }

  /** Does the mishaps, each when so many steps were made. */
  async disturb(mishaps: readonly Mishap[]): Promise<void> {
    const todo = [...mishaps].sort((a, b) => a.after - b.after);
    const { machine } = this;
    while (!this.#stopped) {
      await new Promise((resolve) => setImmediate(resolve));
      for (const { burst, cid } of this.#noise.splice(0)) {
        machine.cancel(burst);
        machine.closeContext(cid);
      }
      for (const burst of this.#alive) {
        if (burst.state === "paused") machine.sched.resume(burst, machine.now);
      }
      this.pool.invariants();
      const next = todo[0];
      if (!next || this.#calm || machine.loop.counters.steps < next.after) continue;
      todo.shift();
      this.#mishap(next);
    }
  }

  #mishap({ kind }: Mishap): void {
    const { machine } = this;
    const [first] = this.#alive;
    if (kind === "crash") machine.driver.crash();
    else if (kind === "spoil") this.swap.spoiling += 1;
    else if (kind === "refuse") this.swap.refusing += 3;
    else if (kind === "crowd") this.swap.crowded += 5;
    else if (kind === "pause" && first) machine.sched.pause(first, machine.now);
    else if (kind === "cancel") {
      const cid = machine.openContext();
      const turn = { given: BASES[0]?.slice(0, 50) ?? [], maxTokens: 50, seed: 1n, temperature: 1 };
      machine.turn(cid, turn, -20, (burst) => this.#noise.push({ burst, cid })).catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.machine[Symbol.asyncDispose]();
  }
}

/** What prompts begin with: the same for many. */
const BASES = [0, 1].map((base) => Array.from({ length: 80 }, (_, i) => (i * 7 + base * 13) % EOS));

const token = fc.integer({ min: 0, max: VOCAB - 2 });
const given = fc
  .record({ base: fc.nat(1), shared: fc.nat(80), own: fc.array(token, { maxLength: 20 }) })
  .map(({ base, shared, own }) => [...(BASES[base]?.slice(0, shared) ?? []), ...own])
  .map((tokens) => (tokens.length === 0 ? [1] : tokens));
const turn = fc.record({
  kind: fc.constant("turn" as const),
  turn: fc.record({
    given,
    maxTokens: fc.integer({ min: 1, max: 20 }),
    seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    temperature: fc.constantFrom(0, 0.8, 1.5),
  }),
});
const cut = fc.record({ kind: fc.constant("cut" as const), percent: fc.nat(100) });
const deeds = fc.letrec<{ deed: Deed; deeds: readonly Deed[] }>((tie) => ({
  deed: fc.oneof({ depthSize: "small" }, turn, turn, cut, {
    arbitrary: fc.record({ kind: fc.constant("fork" as const), deeds: tie("deeds") }),
    weight: 1,
  }),
  deeds: fc.array(tie("deed"), { minLength: 1, maxLength: 3 }),
})).deeds;
const story = fc.record({ deeds, nice: fc.integer({ min: -20, max: 19 }) });
const mishap = fc.record({
  after: fc.nat(120),
  kind: fc.constantFrom<Mishap["kind"]>("crash", "cancel", "pause", "spoil", "refuse", "crowd"),
});
const setting = fc.record({
  slots: fc.integer({ min: 1, max: 4 }),
  quantum: fc.integer({ min: 1, max: 12 }),
  frames: fc.constantFrom(0, 1, 2, 3, 5, 8, 20, 100),
  blocks: fc.constantFrom(0, 1, 3, 8, 100),
  eviction: fc.constantFrom(...EVICTION_NAMES),
  oneWay: fc.boolean(),
});

async function together(stories: readonly Story[], settings: Setting, mishaps: readonly Mishap[]) {
  await using theatre = new Theatre(settings);
  const disturbing = theatre.disturb(mishaps);
  const playing = stories.map(({ deeds, nice }) => theatre.play(deeds, nice));
  const results = await Promise.race([
    Promise.all(playing),
    disturbing.then(() => Promise.reject(new Error("over"))),
  ]);
  theatre.machine.invariants();
  await theatre.calm();
  theatre.machine.driver.crash();
  await theatre.machine.settled();
  theatre.pool.invariants();
  expect(theatre.pool.frames.free).toBe(settings.frames);
  return results;
}

describe("paging never changes an answer", () => {
  it(
    `in ${RUNS} random schedules with shared prefixes, forks, cuts, mishaps and little room`,
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(story, { minLength: 1, maxLength: 6 }),
          setting,
          fc.array(mishap, { maxLength: 8 }),
          async (stories, settings, mishaps) => {
            const { oneWay } = settings;
            const expected = await Promise.all(
              stories.map(({ deeds }) => byTheRules(deeds, oneWay)),
            );
            const got = await together(stories, settings, mishaps);
            expect(got).toEqual(expected);
          },
        ),
        {
          numRuns: RUNS,
          ...(SEED ? { seed: Number(SEED) } : {}),
          interruptAfterTimeLimit: LIMIT_MS,
          markInterruptAsFailure: true,
          endOnFailure: !SHRINK,
        },
      );
    },
    LIMIT_MS + 30_000,
  );
});
