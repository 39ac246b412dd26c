/**
 * Page faults: how a context comes into a slot, and what of it need not be computed.
 *
 * What the slot still holds of it counts first. Behind that its page table is walked:
 * a page in a frame is loaded; one that is only in another slot is saved first, which
 * the same plan does before it loads. The walk ends at the first page that is neither.
 * If that page is about to be in another slot, the burst waits for it. If it is in the
 * swap file, it and those behind it are read into the slot before the burst is bound.
 * Else the saved tail may follow, and the rest is computed. How much may be kept so
 * that the rest can enter as law 2 says, feed.ts decides.
 */
import type { PageLoad } from "../../proto/gen/contix/driver/v1/llm.js";
import { type History, keepable } from "./feed.js";
import { PAGE_TOKENS, type Page } from "./page.js";

/** Where a page can be had at once or soon. */
export type Source = "frame" | "soon" | "block" | "nowhere";

export interface EntrancePorts {
  /** Where the page can be had. A page that is only in another slot has a frame from then on. */
  bring(page: Page): Source;
  /** The page is going to be loaded: its frame stays its own until the plan is made. */
  pin(page: Page): void;
  /** The frame of a page of which so many tokens are loaded. */
  load(page: Page, tokens: number): number;
}

export interface Entering {
  readonly history: History & { readonly tokens: readonly number[] };
  /** Of its full 16s; none when there is no pool. */
  readonly pages: readonly Page[];
  readonly tail: Page | undefined;
  /** Tokens of it that the slot holds. */
  readonly own: number;
}

export type Entrance =
  /** Cut the slot to `keep`, load, and bind: `length` tokens are then there. */
  | { how: "bind"; keep: number; loads: PageLoad[]; length: number }
  /** Cut, load, and read `pages` behind that; then try again. */
  | { how: "read"; keep: number; loads: PageLoad[]; pages: readonly Page[] }
  /** Another slot is going to have what is missing next, up to this page. */
  | { how: "wait"; until: Page };

/** The way in for a context whose slot holds its first `own` tokens. */
export function entrance(entering: Entering, ports: EntrancePorts): Entrance {
  const { history, pages, tail, own } = entering;
  const first = Math.floor(own / PAGE_TOKENS);
  const most = keepable(history, history.tokens.length);
  let have = own;
  let next = first;
  let source: Source = "nowhere";
  for (; next < pages.length && have < most; next++) {
    source = bring(pages[next], ports);
    if (source !== "frame") break;
    have = (next + 1) * PAGE_TOKENS;
  }
  const open = next < pages.length && have < most;
  if (open && source !== "nowhere" && isWorth(history, have, next)) {
    const same = run(entering, next, source, ports);
    const last = same.at(-1);
    if (source === "soon" && last) return { how: "wait", until: last };
    const keep = first * PAGE_TOKENS;
    const loads = loadsOf(entering, first, next * PAGE_TOKENS, ports);
    return { how: "read", keep, loads, pages: same };
  }
  if (tail && tail.frame >= 0 && tail.depth === next && have < most) {
    const end = next * PAGE_TOKENS + tail.tokens.length;
    if (end > have) {
      ports.pin(tail);
      have = end;
    }
  }
  const length = keepable(history, have);
  const alone = keepable(history, own);
  if (length <= alone) return { how: "bind", keep: alone, loads: [], length: alone };
  const loads = loadsOf(entering, first, length, ports);
  return { how: "bind", keep: first * PAGE_TOKENS, loads, length };
}

function bring(page: Page | undefined, ports: EntrancePorts): Source {
  if (!page) return "nowhere";
  const source = ports.bring(page);
  if (source === "frame") ports.pin(page);
  return source;
}

/** Whether anything of page `next` could be kept. */
function isWorth(history: History, have: number, next: number): boolean {
  return keepable(history, (next + 1) * PAGE_TOKENS) > keepable(history, have);
}

/** The pages from `next` on that can be had in the same way. */
function run({ history, pages }: Entering, next: number, way: Source, ports: EntrancePorts) {
  let end = next + 1;
  for (let page = pages[end]; page && isWorth(history, end * PAGE_TOKENS, end); page = pages[end]) {
    if (ports.bring(page) !== way) break;
    end++;
  }
  return pages.slice(next, end);
}

/** Loads of everything from page `first` up to `length` tokens; frames are pinned. */
function loadsOf(
  { history, pages, tail }: Entering,
  first: number,
  length: number,
  ports: EntrancePorts,
): PageLoad[] {
  const loads: PageLoad[] = [];
  for (let i = first; i * PAGE_TOKENS < length; i++) {
    const start = i * PAGE_TOKENS;
    const tokens = history.tokens.slice(start, Math.min(length, start + PAGE_TOKENS));
    const full = pages[i];
    const page = full && full.frame >= 0 ? full : tail;
    if (!page) throw new Error(`page ${i} is to be loaded and has no frame`);
    loads.push({ frame: ports.load(page, tokens.length), tokens });
  }
  return loads;
}
