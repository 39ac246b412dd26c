/** Where the checkout lies: the same from `bench/` (tsx) and from `dist/bench/` (compiled). */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The path of a file of the checkout.
 * @throws Error when this is an installed package: texts and peers are not part of it.
 */
export function inCheckout(...path: string[]): string {
  return join(checkout(), ...path);
}

function checkout(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, "bench", "texts", "README.md"))) {
    const parent = dirname(dir);
    if (parent === dir) throw new Error("the benchmark runs in a checkout of contix only");
    dir = parent;
  }
  return dir;
}
