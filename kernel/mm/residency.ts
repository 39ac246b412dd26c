/** How many pages a context has, and where they are kept. */
import type { Table } from "./tables.js";

export interface Residency {
  /** Its tail included. */
  readonly pages: number;
  /** In RAM. */
  readonly frames: number;
  /** In the swap file only. */
  readonly blocks: number;
}

export function residencyOf({ pages, tail }: Pick<Table, "pages" | "tail">): Residency {
  const all = tail ? [...pages, tail] : pages;
  const frames = all.filter(({ frame }) => frame >= 0).length;
  const blocks = all.filter(({ frame, block }) => frame < 0 && block >= 0).length;
  return { pages: all.length, frames, blocks };
}
