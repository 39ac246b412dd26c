/** What losing a page costs. */
import type { Page } from "../page.js";
import type { EvictionPorts } from "./policy.js";

/** Microseconds to have the page again once it left: the cheaper of the ways there are. */
export function lossUs(ports: EvictionPorts, page: Page): number {
  return Math.min(ports.rebuildUs(page), ports.fetchUs(page));
}
