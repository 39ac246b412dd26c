/**
 * What every eviction policy must keep to, as a small tier that plays any story against
 * one and throws where a rule is broken:
 *
 * - a victim is in the tier, is not pinned and has no child there;
 * - there is no victim only when there is no such page;
 * - every page can be let go in the end, and one that left never comes up again;
 * - asking for a victim twice gives the same one;
 * - the same story gives the same victims.
 */
import type { Page } from "../page.js";
import type { EvictionPolicy, EvictionPorts } from "./policy.js";

/** One thing that happens. Numbers are taken modulo what there is. */
export type Deed =
  | { readonly kind: "turn"; readonly context: number; readonly grow: number }
  | {
      readonly kind: "fork";
      readonly context: number;
      readonly from: number;
      readonly keep: number;
    }
  | { readonly kind: "wait"; readonly context: number; readonly on: number; readonly us: number }
  | { readonly kind: "close"; readonly context: number }
  | { readonly kind: "pin"; readonly page: number }
  | { readonly kind: "unpin"; readonly page: number }
  | { readonly kind: "lose"; readonly page: number }
  | { readonly kind: "evict" }
  | { readonly kind: "pass"; readonly us: number };

const PAGE_BYTES = 1000;
const CONTEXTS = 8;
const KINDS = ["tool", "message", "timer"];

/** A page of a made-up history. */
export function makePage(name: string, parent: Page | undefined): Page {
  const place = { frame: -1, block: -1, writing: false, pins: 0, lastUsed: 0 };
  const books = {
    payer: { principal: "p", process: 1n },
    frameNode: undefined,
    blockNode: undefined,
  };
  const depth = parent ? parent.depth + 1 : 0;
  return { name, parent, tokens: [1], ways: 0, depth, refs: 0, children: 0, ...place, ...books };
}

export class Stage {
  /** Names of the victims so far. */
  readonly victims: string[] = [];
  readonly #policy: EvictionPolicy;
  readonly #room: number;
  readonly #here = new Set<Page>();
  readonly #pinned = new Set<Page>();
  readonly #histories = new Map<number, Page[]>();
  #now = 0;
  #made = 0;

  /** `room`: pages of the tier. */
  constructor(make: (ports: EvictionPorts) => EvictionPolicy, room: number) {
    this.#room = room;
    this.#policy = make({
      rebuildUs: (page) => 1000 + page.depth,
      fetchUs: (page) => (page.depth % 3 === 0 ? 300 : Number.POSITIVE_INFINITY),
      bytes: () => PAGE_BYTES,
      pinned: (page) => this.#pinned.has(page),
      node: "frameNode",
    });
  }

  play(deed: Deed): void {
    switch (deed.kind) {
      case "turn":
        this.#turn(deed.context % CONTEXTS, deed.grow);
        break;
      case "fork":
        this.#fork(deed.context % CONTEXTS, deed.from % CONTEXTS, deed.keep);
        break;
      case "wait":
        this.#wait(deed.context % CONTEXTS, deed.on, deed.us);
        break;
      case "close":
        this.#close(deed.context % CONTEXTS);
        break;
      case "pin":
        this.#pick(deed.page, (page) => this.#pinned.add(page));
        break;
      case "unpin":
        this.#pick(deed.page, (page) => this.#pinned.delete(page));
        break;
      case "lose":
        this.#pick(deed.page, (page) => this.#lose(page));
        break;
      case "evict":
        this.#evict();
        break;
      case "pass":
        this.#now += deed.us;
    }
  }

  /** Lets everything go, and returns how many pages that were. */
  drain(): number {
    this.#pinned.clear();
    const count = this.#here.size;
    while (this.#evict()) this.#now += 1000;
    if (this.#here.size > 0) throw new Error(`${this.#here.size} pages can never be evicted`);
    if (this.#policy.victim(this.#now)) throw new Error("a victim of an empty tier");
    return count;
  }

  #turn(context: number, grow: number): void {
    const history = this.#histories.get(context) ?? [];
    this.#histories.set(context, history);
    this.#runs(context, history);
    for (let i = 0; i < grow; i++) {
      const page = makePage(`p${this.#made++}`, history.at(-1));
      history.push(page);
      this.#add(page, context);
    }
  }

  #fork(context: number, from: number, keep: number): void {
    this.#close(context);
    const history = (this.#histories.get(from) ?? []).slice(0, keep);
    this.#histories.set(context, history);
    this.#runs(context, history);
  }

  /** What of the history is here is used; the rest comes again. */
  #runs(context: number, history: readonly Page[]): void {
    const cid = BigInt(context);
    this.#policy.runs(cid, this.#now);
    const missing = history.findIndex((page) => !this.#here.has(page));
    const hits = missing < 0 ? history.length : missing;
    for (const page of history.slice(0, hits)) this.#policy.used(page, cid, this.#now);
    for (const page of history.slice(hits)) if (!this.#here.has(page)) this.#add(page, context);
  }

  #wait(context: number, on: number, us: number): void {
    if (!this.#histories.has(context)) return;
    const kind = KINDS[on % KINDS.length] ?? "tool";
    const wait = kind === "timer" ? { kind, until: this.#now + us } : { kind };
    this.#policy.waits(BigInt(context), wait, this.#now);
  }

  #close(context: number): void {
    if (this.#histories.delete(context)) this.#policy.closed(BigInt(context), this.#now);
  }

  #add(page: Page, context: number): void {
    while (this.#here.size >= this.#room) if (!this.#evict()) return;
    this.#here.add(page);
    this.#policy.added(page, BigInt(context), this.#now);
  }

  #lose(page: Page): void {
    this.#here.delete(page);
    this.#pinned.delete(page);
    this.#policy.removed(page);
  }

  #evict(): boolean {
    const victim = this.#policy.victim(this.#now);
    const free = [...this.#here].filter((page) => !this.#pinned.has(page) && this.#isLeaf(page));
    if (!victim) {
      if (free.length > 0) throw new Error(`no victim, though ${free[0]?.name} may go`);
      return false;
    }
    if (!this.#here.has(victim)) throw new Error(`${victim.name} has left already`);
    if (this.#pinned.has(victim)) throw new Error(`${victim.name} is pinned`);
    if (!this.#isLeaf(victim)) throw new Error(`${victim.name} has a child here`);
    const again = this.#policy.victim(this.#now);
    if (again !== victim) throw new Error(`${victim.name}, and then ${again?.name}`);
    this.victims.push(victim.name);
    this.#lose(victim);
    return true;
  }

  #isLeaf(page: Page): boolean {
    for (const other of this.#here) if (other.parent === page) return false;
    return true;
  }

  #pick(page: number, then: (page: Page) => void): void {
    const pages = [...this.#here];
    const picked = pages[page % Math.max(1, pages.length)];
    if (picked) then(picked);
  }
}
