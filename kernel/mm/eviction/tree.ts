/**
 * Which pages of a tier are leaves: have no child in the tier. A child may come before
 * its parent, so children are counted for pages that are not here as well.
 *
 * What a policy knows of a page hangs at the page itself: there are a hundred thousand of
 * them, and looking each one up costs more than all else that is done with it.
 */
import type { Page } from "../page.js";

/** A page as a policy knows it. */
export interface Node {
  readonly page: Page;
  /** It lies in the tier. */
  here: boolean;
  /** Children that lie in the tier. */
  children: number;
}

/** The field of a page that is a tier's: in which its policy, and no other, keeps its node. */
export type NodeField = "frameNode" | "blockNode";

export class Tree<N extends Node> {
  constructor(
    private readonly field: NodeField,
    private readonly make: (page: Page) => N,
  ) {}

  /** The page's node, if it lies in the tier. */
  get(page: Page): N | undefined {
    const node = this.#known(page);
    return node?.here ? node : undefined;
  }

  /** Notes that the page came in. Its parent, when that lies here, is no leaf any more. */
  add(page: Page): { readonly node: N; readonly parent: N | undefined } {
    const node = this.#ensure(page);
    if (node.here) throw new Error(`page ${page.name} came into a tier twice`);
    node.here = true;
    if (!page.parent) return { node, parent: undefined };
    const parent = this.#ensure(page.parent);
    parent.children++;
    return { node, parent: parent.here ? parent : undefined };
  }

  /** Notes that the page left. `parent`: it lies here, and may be a leaf now. */
  remove(page: Page): { readonly node: N; readonly parent: N | undefined } | undefined {
    const node = this.get(page);
    if (!node) return undefined;
    node.here = false;
    if (node.children === 0) page[this.field] = undefined;
    const parent = page.parent && this.#known(page.parent);
    if (!parent) return { node, parent: undefined };
    parent.children--;
    if (!parent.here && parent.children === 0) parent.page[this.field] = undefined;
    return { node, parent: parent.here ? parent : undefined };
  }

  #known(page: Page): N | undefined {
    return page[this.field] as N | undefined;
  }

  #ensure(page: Page): N {
    const known = this.#known(page);
    if (known) return known;
    const node = this.make(page);
    page[this.field] = node;
    return node;
  }
}

export function isLeaf(node: Node): boolean {
  return node.here && node.children === 0;
}
