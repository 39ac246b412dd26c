/**
 * The proof over a sample of contexts: told undisturbed, and told again under each thing
 * that a kernel may do to a context. The same bytes each time; and each time it is shown
 * that the thing was done, since a treatment that does nothing proves nothing.
 */
import { expect } from "vitest";
import { type Life, type Told, type Treatment, treated, undisturbed } from "./law2-contexts.js";

export interface ProofOptions {
  readonly seed: number;
  readonly lives: readonly Life[];
  /** Bytes of a page, and pages in RAM: fewer than the contexts of a wave have. */
  readonly pageBytes: number;
  readonly frames: number;
}

/** Blocks of the swap file: every page of a wave, and those of the wave before. */
const BLOCKS = 1200;
const SLOTS = 4;

/** @returns seconds that each part took */
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
  const want = await timed("undisturbed", undisturbed(dir, lives));
  const same = (name: string, told: readonly Told[]): void => {
    told.forEach(({ answers }, i) => {
      expect(answers, `seed ${seed}, context ${i}, ${name}`).toEqual(want[i]?.answers);
    });
  };
  const many = lives.length / 2;
  // A block takes more than its page: whole pages of the disk, with a header.
  const config = { slots: SLOTS, quantum: 4, swap: String(BLOCKS * (pageBytes + 8192)) };
  const pageMemory = frames * pageBytes;

  const swap: Treatment = { config, pageMemory, between: (kernel) => kernel.takeSlots() };
  const swapped = await timed("swapped", treated(dir, lives, swap));
  same("preempted, swapped and restored", swapped.told);
  expect(swapped.switches).toBeGreaterThan(many);
  expect(count(swapped.told, ({ pages, swapped }) => pages === swapped)).toBeGreaterThan(many);
  expect(count(swapped.told, moved)).toBeGreaterThan(many / 2);
  expect(count(swapped.told, ({ cached }) => cached >= 16)).toBeGreaterThan(many);

  let kills = 0;
  const kill: Treatment = {
    config,
    pageMemory,
    async after(kernel, generations) {
      // In the midst of the others' generations.
      if (generations !== Math.floor(many / 3)) return;
      await kernel.killDriver();
      kills++;
    },
    async between(kernel) {
      await kernel.killDriver();
      kills++;
    },
  };
  const killed = await timed("killed", treated(dir, lives, kill));
  same("driver killed and restarted", killed.told);
  expect(kills).toBeGreaterThan(1);
  expect(killed.told.every(({ recomputed }) => recomputed > 0)).toBe(true);
  expect(count(killed.told, ({ cached }) => cached >= 16)).toBeGreaterThan(many);

  const drop: Treatment = {
    config: { slots: SLOTS, quantum: 4 },
    pageMemory: 0,
    between: (kernel) => kernel.takeSlots(),
  };
  const dropped = await timed("dropped", treated(dir, lives, drop));
  same("all pages dropped and rebuilt", dropped.told);
  expect(dropped.told.every(({ cached }) => cached === 0)).toBe(true);
  return seconds;
}

function count(told: readonly Told[], is: (told: Told) => boolean): number {
  return told.filter(is).length;
}

/** Seen in the second turn in a slot in which it was not seen in the first. */
function moved({ slots: [first = [], second = []] }: Told): boolean {
  return first.length > 0 && second.some((slot) => !first.includes(slot));
}
