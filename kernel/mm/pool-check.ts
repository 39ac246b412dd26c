/** Whether the pool's books add up: every rule that pool.ts states, looked at page by page. */
import { PAGE_TOKENS } from "./page.js";
import type { PoolPage } from "./pool-page.js";
import type { Store } from "./store.js";
import type { Tables } from "./tables.js";
import type { Tier } from "./tier.js";

/** Throws an Error that says which rule is broken, and by which page. */
export function checkPool(tables: Tables, store: Store, pinned: ReadonlySet<PoolPage>): void {
  const { frames, blocks, busy } = store;
  const held = heldPages(tables);
  const all = new Set([...tables.index.values(), ...held.keys(), ...frames.pages, ...blocks.pages]);
  for (const page of all) {
    checkPage(page, store, held.get(page) ?? 0);
    must(page.pins === (pinned.has(page) ? 1 : 0), page, `has ${page.pins} pins`);
    must(!page.placed || page.indexed, page, "is kept and not in the index");
    must(
      page.indexed === (tables.index.get(page.name) === page),
      page,
      "is not what its name finds",
    );
  }
  for (const [name, page] of tables.index) {
    must(page.name === name, page, "is in the index by another name");
    must(page.refs > 0 || page.placed, page, "is kept by nobody");
  }
  checkTier("frame", frames, (page) => page.frame, 0);
  for (const page of store.unwritten.keys()) {
    must(page.frame >= 0 && page.block < 0, page, "waits to be written and can not");
    must(page.tokens.length === PAGE_TOKENS, page, "waits to be written and is not full");
  }
  const lent = [...busy.values()].filter(({ released }) => released).length;
  checkTier("block", blocks, (page) => page.block, lent);
  for (const [block, { ops, released, page }] of busy) {
    if (ops <= 0) throw new Error(`block ${block} is busy with nothing`);
    if (blocks.isFree(block)) throw new Error(`block ${block} is free and busy`);
    if (!released) must(page.block === block, page, `does not know of block ${block}`);
  }
}

function heldPages(tables: Tables): Map<PoolPage, number> {
  const held = new Map<PoolPage, number>();
  for (const { pages, tail } of tables.byContext.values()) {
    let parent: PoolPage | undefined;
    for (const page of tail ? [...pages, tail] : pages) {
      must(page === tail || page.parent === parent, page, "is behind another page than its parent");
      must(page === tail || page.tokens.length === PAGE_TOKENS, page, "is not full");
      held.set(page, (held.get(page) ?? 0) + 1);
      parent = page;
    }
  }
  return held;
}

function checkPage(page: PoolPage, { frames, blocks }: Store, refs: number): void {
  must(page.refs === refs, page, `is held by ${page.refs}, and in ${refs} tables`);
  must(page.frame < 0 || frames.at(page.frame) === page, page, "is not where its frame is");
  must(page.block < 0 || blocks.at(page.block) === page, page, "is not where its block is");
  must(!page.writing || page.block >= 0, page, "is written to no block");
  const { kids } = page;
  must(page.children === kids.length, page, "counts children");
  must(
    kids.every((kid) => kid.placed && kid.parent === page),
    page,
    "has a child without a place",
  );
  must(page.frameKids === kids.filter(({ frame }) => frame >= 0).length, page, "counts frames");
  must(page.blockKids === kids.filter(({ block }) => block >= 0).length, page, "counts blocks");
  const { parent } = page;
  if (!parent || !page.placed) return;
  must(parent.kids.includes(page), page, "is unknown to its parent");
  must(parent.placed, page, "is kept, and its parent is not");
  must(page.block < 0 || parent.block >= 0, page, "has a block, and its parent has none");
}

function checkTier(name: string, tier: Tier, of: (page: PoolPage) => number, lent: number): void {
  const { pages } = tier;
  for (const page of pages) must(tier.at(of(page)) === page, page, `has lost its ${name}`);
  const places = new Set(pages.map(of));
  if (places.size !== pages.length) throw new Error(`a ${name} has two pages`);
  if (tier.free + pages.length + lent !== tier.count) throw new Error(`a ${name} has leaked`);
  for (const place of places) {
    if (tier.isFree(place)) throw new Error(`${name} ${place} is free and has a page`);
  }
}

function must(right: boolean, page: PoolPage, what: string): void {
  if (!right) throw new Error(`page ${page.name} (depth ${page.depth}) ${what}`);
}
