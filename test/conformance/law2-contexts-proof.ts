/**
 * The proof over a sample of contexts: told undisturbed, and told again under each thing
 * that a kernel may do to a context. The same bytes each time; and each time it is shown
 * that the thing was done, since a treatment that does nothing proves nothing.
 */
import { expect } from "vitest";
import {
  type Life,
  type TestedKernel,
  type Told,
  type Treatment,
  treated,
  undisturbed,
} from "./law2-contexts.js";

export interface ProofOptions {
  readonly seed: number;
  readonly lives: readonly Life[];
  /** Bytes of a page, and pages in RAM: fewer than the contexts of a wave have. */
  readonly pageBytes: number;
  readonly frames: number;
}

/** Blocks of the swap file: every page of a wave, and those of the wave before. */
const BLOCKS = 1200;
/** How often contexts are told under a treatment that chance may keep from its work. */
const MOST_TRIES = 3;
const CONFIG = { slots: 4, quantum: 4, threads: 1 };

/** @returns seconds that each part took; they run two at a time, with a thread each */
export async function proveContexts(
  dir: string,
  { seed, lives, pageBytes, frames }: ProofOptions,
): Promise<Record<string, number>> {
  const seconds: Record<string, number> = {};
  const timed = async <T>(name: string, work: Promise<T>): Promise<T> => {
    const begun = performance.now();
    const result = await work;
    seconds[name] = Math.round((performance.now() - begun) / 1000);
    return result;
  };
  const tell = (name: string, treatment: Treatment) => timed(name, treated(dir, lives, treatment));
  // A block takes more than its page: whole pages of the disk, with a header.
  const swap = String(BLOCKS * (pageBytes + 8192));
  const paged = { config: { ...CONFIG, swap }, pageMemory: frames * pageBytes };
  const takeSlots = (kernel: TestedKernel): Promise<void> => kernel.takeSlots();
  const [want, swapped] = await Promise.all([
    timed("undisturbed", undisturbed(dir, lives)),
    tell("swapped", { ...paged, between: takeSlots }),
  ]);
  // How many pages get to the file before their slots are wanted is chance: again, where few did.
  const tries = [swapped];
  for (let last = swapped; !mostSwapped(last.told) && tries.length < MOST_TRIES; ) {
    last = await tell("swapped", { ...paged, between: takeSlots });
    tries.push(last);
  }
  const kills = new Kills(Math.floor(lives.length / 6));
  const [killed, dropped] = await Promise.all([
    tell("killed", { ...paged, ...kills }),
    tell("dropped", { config: CONFIG, pageMemory: 0, between: takeSlots }),
  ]);

  const same = (name: string, { told }: { told: readonly Told[] }): void => {
    told.forEach(({ answers }, i) => {
      expect(answers, `seed ${seed}, context ${i}, ${name}`).toEqual(want[i]?.answers);
    });
  };
  for (const each of tries) same("preempted, swapped and restored", each);
  same("driver killed and restarted", killed);
  same("all pages dropped and rebuilt", dropped);

  const many = lives.length / 2;
  const shown = tries.at(-1) ?? swapped;
  expect(shown.switches).toBeGreaterThan(many);
  expect(count(shown.told, (one) => one.swapped > 0)).toBeGreaterThan(many);
  expect(mostSwapped(shown.told), JSON.stringify(tries.map(({ told }) => swapOf(told)))).toBe(true);
  expect(count(shown.told, moved)).toBeGreaterThan(many / 5);
  expect(count(shown.told, ({ cached }) => cached >= 16)).toBeGreaterThan(many);
  expect(kills.count).toBeGreaterThan(1);
  // One whose last page was just full has all that it had in the swap file.
  expect(count(killed.told, ({ recomputed }) => recomputed > 0)).toBeGreaterThan(many);
  expect(count(killed.told, ({ cached }) => cached >= 16)).toBeGreaterThan(many);
  expect(dropped.told.every(({ cached }) => cached === 0)).toBe(true);
  return seconds;
}

/** Kills the driver between the turns, and once in the midst of generations. */
class Kills implements Pick<Treatment, "after" | "between"> {
  count = 0;
  readonly #midst: number;

  constructor(midst: number) {
    this.#midst = midst;
  }

  readonly between = async (kernel: TestedKernel): Promise<void> => {
    await kernel.killDriver();
    this.count++;
  };

  readonly after = async (kernel: TestedKernel, generations: number): Promise<void> => {
    if (generations === this.#midst) await this.between(kernel);
  };
}

/** Pages that all have, and those of them that were in the swap file alone. */
function swapOf(told: readonly Told[]): { readonly pages: number; readonly swapped: number } {
  const sum = (of: (one: Told) => number) => told.reduce((n, one) => n + of(one), 0);
  return { pages: sum((one) => one.pages), swapped: sum((one) => one.swapped) };
}

/** A page that many share may well be in RAM; of the rest most have to come from the file. */
function mostSwapped(told: readonly Told[]): boolean {
  const { pages, swapped } = swapOf(told);
  return swapped > pages / 2;
}

function count(told: readonly Told[], is: (told: Told) => boolean): number {
  return told.filter(is).length;
}

/** Seen in more slots than one; who is there a moment only may not be seen. */
function moved({ slots }: Told): boolean {
  return slots.length > 1;
}
