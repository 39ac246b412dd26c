/**
 * Law 2 on a disk that fails: the swap file is removed, lost with its driver and cut short;
 * and, where disks can be mounted, its disk is full and then closed to writers. Contexts go
 * on and say what they would have said, no driver dies of it, and the kernel counts it.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { tinyModel } from "../../servers/llm/models/tiny.js";
import { lawSeed } from "./law2.js";
import {
  type Life,
  lives,
  Telling,
  TestedKernel,
  type Told,
  undisturbed,
} from "./law2-contexts.js";
import { Dice } from "./law2-story.js";

const SEED = lawSeed();
const run = promisify(execFile);
/** The tiny model's page. */
const PAGE_BYTES = 2 ** 14;
/** Elsewhere the second test is shown as skipped. */
const MOUNTS = await mayMount();
const TREATMENT = { config: { slots: 2, quantum: 4, swap: "4MiB" }, pageMemory: 6 * PAGE_BYTES };

/** A kernel under contexts that are told a turn at a time. */
class Story {
  readonly os: TestedKernel["os"];
  readonly killDriver: () => Promise<void>;
  readonly #kernel: TestedKernel;
  readonly #tellings: readonly Telling[];

  private constructor(kernel: TestedKernel, tellings: readonly Telling[]) {
    this.#kernel = kernel;
    this.os = kernel.os;
    this.killDriver = () => kernel.killDriver();
    this.#tellings = tellings;
  }

  static async of(kernel: TestedKernel, all: readonly Life[]): Promise<Story> {
    const tellings: Telling[] = [];
    for (const life of all) tellings.push(new Telling(await kernel.os.ctx.create(), life));
    return new Story(kernel, tellings);
  }

  async turn(): Promise<void> {
    await Promise.all(this.#tellings.map((telling) => telling.turn()));
    await this.#kernel.takeSlots();
    for (const telling of this.#tellings) await telling.look();
  }

  /** Waits for a driver's first write, with which its thread starts: only then others are quick. */
  async firstWrite(): Promise<void> {
    const { pagesWritten } = await this.os.sys.stats();
    await using context = await this.os.ctx.create();
    await context.append({ tokens: Array.from({ length: 20 }, (_, i) => i) });
    await context.generate({ maxTokens: 1, ignoreEos: true });
    while ((await this.os.sys.stats()).pagesWritten === pagesWritten) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Pages that only the swap file has. */
  get swapped(): number {
    return this.#tellings.reduce((sum, { told }) => sum + told.swapped, 0);
  }

  async swapPlaces(): Promise<number> {
    const { models } = await this.os.sys.free();
    return models[0]?.tiers.find(({ name }) => name === "swap")?.places ?? 0;
  }

  expectAnswers(want: readonly Told[]): void {
    this.#tellings.forEach(({ told }, i) => {
      const expected = want[i]?.answers.slice(0, told.answers.length);
      expect(told.answers, `seed ${SEED}, context ${i}`).toEqual(expected);
    });
  }
}

/** What the contexts say undisturbed, and a kernel with them in `home`; then all is put away. */
async function told(root: string, act: (story: Story) => Promise<void>): Promise<void> {
  const model = await tinyModel(join(root, "model"));
  const dice = new Dice(SEED);
  const source = Array.from({ length: 500 }, () => dice.int(0, 255));
  const all = lives(dice, { count: 6, source, turns: 4 });
  const want = await undisturbed(model, all);
  await using kernel = await TestedKernel.at(join(root, "home"), model, TREATMENT);
  const story = await Story.of(kernel, all);
  await act(story);
  story.expectAnswers(want);
}

test(`contexts go on when the swap file is removed, lost and cut short, seed ${SEED}`, async () => {
  const root = await mkdtemp(join(tmpdir(), "contix-swap-faults-"));
  const swap = join(root, "home", "swap");
  await mkdir(join(root, "home"), { mode: 0o700 });
  try {
    await told(root, async (story) => {
      await story.firstWrite();
      await story.turn();
      expect(story.swapped).toBeGreaterThan(0);
      await rm(swap, { recursive: true });
      // The file has no name any more, and is there as long as its driver is.
      await story.turn();
      expect([(await story.swapPlaces()) > 0, story.swapped > 0]).toEqual([true, true]);
      expect(await story.os.sys.stats()).toMatchObject({ pagesBad: 0, swapErrors: 0 });

      // The next driver makes another, in which nothing is that the kernel knows of.
      await story.killDriver();
      const [file = ""] = await readdir(swap);
      await story.firstWrite();
      await story.turn();
      expect(story.swapped).toBeGreaterThan(0);
      const before = (await story.os.sys.stats()).pagesBad;

      await truncate(join(swap, file), 0);
      await story.turn();
      const after = await story.os.sys.stats();
      expect(after.pagesBad).toBeGreaterThan(before);
      expect(after.driverRestarts).toBe(1);
      const { models } = await story.os.sys.free();
      expect(models).toMatchObject([{ pagesBad: after.pagesBad }]);
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}, 180_000);

test.skipIf(!MOUNTS)(
  `contexts go on when the swap file's disk is full, and then read-only, seed ${SEED}`,
  async () => {
    const root = await mkdtemp(join(tmpdir(), "contix-swap-disk-"));
    const home = join(root, "home");
    const swap = join(home, "swap");
    try {
      await smallDisk(home);
      // Nothing is changed that cannot be written down: what is audited has a disk of its own.
      await smallDisk(join(home, "audit"));
      await told(root, async (story) => {
        await story.firstWrite();
        await story.turn();
        expect(story.swapped).toBeGreaterThan(0);
        const [file = ""] = await readdir(swap);
        await truncate(join(swap, file), 0);
        await fill(home);
        await story.turn();
        // No page found room.
        expect((await stat(join(swap, file))).blocks * 512).toBeLessThan(PAGE_BYTES);
        const { swapErrors, driverRestarts } = await story.os.sys.stats();
        expect([swapErrors > 0, driverRestarts]).toEqual([true, 0]);

        await run("mount", ["--bind", swap, swap]);
        await run("mount", ["-o", "remount,ro,bind", swap]);
        await story.killDriver();
        await story.turn();
        expect(await story.swapPlaces()).toBe(0);
        const { models } = await story.os.sys.free();
        expect(models).toMatchObject([{ swapErrors }]);
      });
    } finally {
      for (const path of [swap, join(home, "audit"), home]) {
        await run("umount", [path]).catch(() => {});
      }
      await rm(root, { recursive: true, force: true });
    }
  },
  180_000,
);

/** A disk of 16 MiB at `path`. */
async function smallDisk(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await run("mount", ["-t", "tmpfs", "-o", "size=16m,mode=700", "none", path]);
}

/** Whether disks can be mounted here: root on Linux may, though not in every container. */
async function mayMount(): Promise<boolean> {
  if (process.getuid?.() !== 0 || process.platform !== "linux") return false;
  const path = await mkdtemp(join(tmpdir(), "contix-mount-"));
  const may = await run("mount", ["-t", "tmpfs", "none", path]).then(
    () => true,
    () => false,
  );
  if (may) await run("umount", [path]);
  await rm(path, { recursive: true, force: true });
  return may;
}

/** Takes all room that a disk has left. */
async function fill(home: string): Promise<void> {
  const filler = join(home, "filler");
  for (let size = 2 ** 22; size >= 2 ** 12; ) {
    const full = await writeFile(filler, Buffer.alloc(size), { flag: "a" }).then(
      () => false,
      () => true,
    );
    if (full) size /= 2;
  }
}
