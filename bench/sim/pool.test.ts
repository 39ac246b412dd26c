/**
 * Random operations on the production pool, every invariant asserted after every one:
 * counts add up, every place has one owner, no page is both free and mapped, nothing is
 * left at the end. CONTIX_SIM_RUNS of them for each policy, 1,000 by default.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EVICTION_NAMES, evictionPolicy } from "../../kernel/mm/eviction/policies.js";
import { PagePool } from "../../kernel/mm/pool.js";
import { SALT } from "./accesses.js";
import { History } from "./history.js";

const RUNS = Number(process.env.CONTIX_SIM_RUNS ?? 1000);
const SEED = 20261122;
const CONTEXTS = 6;

const number = fc.nat(40);
const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("turn" as const),
      cid: number,
      given: number,
      made: number,
    }),
  },
  fc.record({ kind: fc.constant("cut" as const), cid: number, keep: fc.nat(200) }),
  fc.record({ kind: fc.constant("fork" as const), cid: number, from: number }),
  fc.record({ kind: fc.constant("wait" as const), cid: number, us: fc.nat(1e8) }),
  fc.record({ kind: fc.constant("close" as const), cid: number }),
  fc.record({ kind: fc.constant("report" as const), good: fc.boolean() }),
  fc.record({ kind: fc.constant("lost" as const) }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** A pool, what its contexts have, and what its driver has under way. */
class Story {
  readonly pool: PagePool;
  readonly #histories = new Map<bigint, History>();
  readonly #underWay: { block: number; write: boolean; slot: number; start: number }[] = [];
  readonly #frames: number;
  readonly #blocks: number;
  #now = 0;
  #made = 0;

  constructor(name: (typeof EVICTION_NAMES)[number], frames: number, blocks: number) {
    this.#frames = frames;
    this.#blocks = blocks;
    this.pool = new PagePool({
      engineDigest: "e",
      frames,
      blocks,
      pageBytes: 160,
      costs: { rebuildUs: ({ depth }) => 1000 + depth, readUs: () => 100 },
      eviction: (ports) => evictionPolicy(name, ports),
    });
  }

  play(op: Operation): void {
    this.#now += 1000;
    if (op.kind === "turn") this.#turn(cidOf(op.cid), op.given, op.made);
    else if (op.kind === "cut") this.#cut(cidOf(op.cid), op.keep);
    else if (op.kind === "fork") this.#fork(cidOf(op.cid), cidOf(op.from));
    else if (op.kind === "wait") this.#wait(cidOf(op.cid), op.us);
    else if (op.kind === "close") this.#close(cidOf(op.cid));
    else if (op.kind === "report") this.#report(op.good);
    else this.#lost();
    this.check();
  }

  check(): void {
    this.pool.invariants();
    const { frames, blocks } = this.pool;
    expect([frames.count, blocks.count]).toEqual([this.#frames, this.#blocks]);
    const owners = new Set<number>();
    for (const cid of this.#histories.keys()) {
      const mine = this.pool.pagesOf(cid).filter(({ frame }) => frame >= 0);
      for (const { frame } of mine) owners.add(frame);
      expect(new Set(mine.map(({ frame }) => frame)).size).toBe(mine.length);
    }
    expect(owners.size).toBeLessThanOrEqual(frames.count - frames.free);
  }

  /** Everybody goes, the driver finishes, and then it is lost: every place is free. */
  end(): void {
    for (const cid of [...this.#histories.keys()]) this.#close(cid);
    while (this.#underWay.length > 0) this.#report(true);
    this.pool.seal(this.#now);
    this.#lost();
    this.pool.refit(0, 0);
    expect([this.pool.frames.free, this.pool.blocks.free]).toEqual([0, 0]);
    expect(this.pool.holders(1)).toEqual([]);
    this.pool.invariants();
  }

  #turn(cid: bigint, given: number, made: number): void {
    const history = this.#histories.get(cid) ?? new History();
    this.#histories.set(cid, history);
    // Contexts of the same parity ask the same things: they share pages.
    const first = Number(cid % 2n) * 1000;
    const prompt = Array.from({ length: given }, (_, i) => first + history.tokens.length + i);
    history.become([...history.tokens, ...prompt]);
    history.generate(Array.from({ length: made % 20 }, () => 100_000 + this.#made++));
    const pages = this.pool.hold(cid, history, SALT);
    this.pool.runs(cid, this.#now);
    const found = this.pool.find(cid).length;
    pages.slice(0, found).forEach((page, slot) => {
      if (page.frame >= 0) this.pool.load(page, 16);
      else this.#underWay.push({ ...this.pool.read(page, slot), write: false });
    });
    for (const page of pages.slice(found)) this.pool.save(page, cid, 0, this.#now);
    this.pool.saveTail(cid, history, history.tokens.length, 0, this.#now);
    this.check();
    for (const { block } of this.pool.seal(this.#now)) {
      this.#underWay.push({ block, write: true, slot: 0, start: 0 });
    }
  }

  #cut(cid: bigint, keep: number): void {
    const history = this.#histories.get(cid);
    if (!history) return;
    history.become(history.tokens.slice(0, keep));
    this.pool.hold(cid, history, SALT);
  }

  #fork(cid: bigint, from: bigint): void {
    const parent = this.#histories.get(from);
    if (!parent || cid === from) return;
    this.#close(cid);
    const child = new History();
    child.tokens = [...parent.tokens];
    child.runs = [...parent.runs];
    this.#histories.set(cid, child);
    this.pool.fork(from, cid);
  }

  #wait(cid: bigint, us: number): void {
    if (!this.#histories.has(cid)) return;
    this.pool.waits(cid, us % 2 === 0 ? { kind: "tool" } : { kind: "timer", until: us }, this.#now);
  }

  #close(cid: bigint): void {
    if (this.#histories.delete(cid)) this.pool.release(cid, this.#now);
  }

  #report(good: boolean): void {
    const done = this.#underWay.shift();
    if (done) this.pool.done({ ...done, error: good ? "" : "bad page" });
  }

  #lost(): void {
    this.#underWay.length = 0;
    this.pool.lost();
  }
}

function cidOf(n: number): bigint {
  return BigInt(n % CONTEXTS);
}

describe.each(EVICTION_NAMES)("the pool under %s", (name) => {
  it(`keeps its books in ${RUNS} stories of random operations`, { timeout: 600_000 }, () => {
    const story = fc.array(operation, { maxLength: 60 });
    const sizes = fc.tuple(fc.integer({ min: 1, max: 24 }), fc.nat(24));
    fc.assert(
      fc.property(story, sizes, (operations, [frames, blocks]) => {
        const played = new Story(name, frames, blocks);
        for (const each of operations) played.play(each);
        played.end();
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
});
