/**
 * Plays a workload on the production page pool, with one policy. Each turn enters an
 * empty slot: what the pool has of its history is loaded or read, the rest is computed
 * and saved, a chunk a plan; what it generates is saved when it ends.
 */
import { type EvictionName, evictionPolicy } from "../../kernel/mm/eviction/policies.js";
import type { EvictionPolicy } from "../../kernel/mm/eviction/policy.js";
import { PAGE_TOKENS, type Page } from "../../kernel/mm/page.js";
import { PagePool } from "../../kernel/mm/pool.js";
import { type Access, type AccessString, SALT } from "./accesses.js";
import { History } from "./history.js";
import type { Steps } from "./steps.js";
import type { Turn } from "./workload.js";

/** Bytes of 16 tokens of KV: fp32, SmolLM2-135M. */
export const PAGE_BYTES = 46_080 * PAGE_TOKENS;
/** Pages that a prefill chunk completes, and so one plan saves. */
const CHUNK_PAGES = 4;
/** Measured on that model: prefill, what 1,000 tokens before it add, decode; a page of the swap file. */
const PREFILL_US = 1000;
const DEPTH_SHARE = 0.25 / 1000;
const DECODE_US = 10_000;
const READ_US = 660;

export interface Memory {
  readonly frames: number;
  readonly blocks: number;
}

export interface Replayed {
  readonly hits: number;
  /** Tokens of full pages that were computed though they had been before. */
  readonly rebuilt: number;
  /** What rebuilding them takes, microseconds. */
  readonly rebuiltUs: number;
  /** Bytes between slots, RAM and the swap file. */
  readonly moved: number;
  readonly evicted: number;
}

/** One run. Deterministic: it has no randomness, and the clock is the workload's. */
export async function replay(
  string: AccessString,
  name: EvictionName,
  memory: Memory,
  steps: Steps,
): Promise<Replayed> {
  const run = new Run(name, memory, string.distinct);
  for (const access of string.accesses) {
    run.play(access);
    await steps.one(1 / string.accesses.length);
  }
  return run.result();
}

class Run {
  readonly #pool: PagePool;
  readonly #policies: EvictionPolicy[] = [];
  readonly #histories = new Map<bigint, History>();
  /** By the page's number: it was computed before. */
  readonly #computed: Uint8Array;
  #hits = 0;
  #rebuilt = 0;
  #rebuiltUs = 0;

  constructor(name: EvictionName, memory: Memory, distinct: number) {
    this.#computed = new Uint8Array(distinct);
    this.#pool = new PagePool({
      engineDigest: "sim",
      ...memory,
      pageBytes: PAGE_BYTES,
      costs: { rebuildUs, readUs: () => READ_US },
      eviction: (ports) => {
        const policy = evictionPolicy(name, ports);
        this.#policies.push(policy);
        return policy;
      },
    });
  }

  play({ happening, pages }: Access): void {
    const { cid, at } = happening;
    if (happening.kind === "starts") this.#starts(cid, at, happening.turn, pages);
    else if (happening.kind === "ends") this.#ends(cid, at, happening.turn, pages);
    else {
      this.#pool.release(cid, at);
      this.#histories.delete(cid);
    }
  }

  result(): Replayed {
    const { saved, loaded, written, read } = this.#pool.counters;
    return {
      hits: this.#hits,
      rebuilt: this.#rebuilt,
      rebuiltUs: this.#rebuiltUs,
      moved: saved + loaded + written + read,
      evicted: this.#pool.frames.evicted,
    };
  }

  #starts(cid: bigint, now: number, turn: Turn, numbers: Int32Array): void {
    const history = this.#histories.get(cid) ?? new History();
    this.#histories.set(cid, history);
    history.become(turn.prompt());
    const pages = this.#pool.hold(cid, history, SALT);
    this.#pool.runs(cid, now);
    const found = this.#pool.find(cid).length;
    this.#hits += found;
    for (const page of pages.slice(0, found)) this.#fetch(page);
    this.#seal(now);
    pages.forEach((page, i) => {
      const number = numbers[i] ?? 0;
      if (i >= found && this.#computed[number] === 1) {
        this.#rebuilt += PAGE_TOKENS;
        this.#rebuiltUs += rebuildUs(page);
      }
      this.#computed[number] = 1;
    });
    this.#save(cid, pages, now);
  }

  #ends(cid: bigint, now: number, turn: Turn, numbers: Int32Array): void {
    const history = this.#histories.get(cid);
    if (!history) throw new Error(`context ${cid} ends a turn that it never began`);
    history.generate(turn.output());
    this.#save(cid, this.#pool.hold(cid, history, SALT), now);
    for (const number of numbers) this.#computed[number] = 1;
    this.#pool.waits(cid, turn.wait, now);
  }

  /** Into the slot, from RAM or from the swap file. */
  #fetch(page: Page): void {
    if (page.frame >= 0) {
      this.#pool.load(page, PAGE_TOKENS);
      return;
    }
    const { block } = this.#pool.read(page, 0);
    this.#pool.done({ block, write: false, slot: 0, start: 0, error: "" });
  }

  #save(cid: bigint, pages: readonly Page[], now: number): void {
    const missing = pages.filter(({ frame }) => frame < 0);
    for (let i = 0; i < missing.length; i += CHUNK_PAGES) {
      for (const page of missing.slice(i, i + CHUNK_PAGES)) this.#pool.save(page, cid, 0, now);
      this.#seal(now);
    }
  }

  /** The plan is done: what it writes is written at once. */
  #seal(now: number): void {
    for (const { block } of this.#pool.seal(now)) {
      this.#pool.done({ block, write: true, slot: 0, start: 0, error: "" });
    }
  }
}

/** As the tokens entered: by prefill all together, by decode one by one. */
function rebuildUs({ ways, depth, tokens }: Page): number {
  let decoded = 0;
  for (let bits = ways; bits !== 0; bits &= bits - 1) decoded++;
  const prefill = (tokens.length - decoded) * PREFILL_US;
  return (prefill + decoded * DECODE_US) * (1 + depth * PAGE_TOKENS * DEPTH_SHARE);
}
