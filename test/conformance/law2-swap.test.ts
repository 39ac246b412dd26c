/**
 * Law 2 on a disk that fails: the swap file is removed, lost with its driver, cut short on
 * a full disk, and closed to writers, one after the other, under contexts that go on. They
 * say what they would have said, no driver dies of it, and the kernel shows what is left.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { tinyModel } from "../../servers/llm/models/tiny.js";
import { lawSeed } from "./law2.js";
import { lives, Telling, TestedKernel, undisturbed } from "./law2-contexts.js";
import { Dice } from "./law2-story.js";

const SEED = lawSeed();
const run = promisify(execFile);
/** The tiny model's page. */
const PAGE_BYTES = 2 ** 14;
const TREATMENT = { config: { slots: 2, quantum: 4, swap: "4MiB" }, pageMemory: 6 * PAGE_BYTES };

test(`contexts go on when the swap file's disk fails, seed ${SEED}`, async () => {
  const root = await mkdtemp(join(tmpdir(), "contix-swap-faults-"));
  const home = join(root, "home");
  const disk = await smallDisk(home);
  // Nothing is changed that cannot be written down: what is audited has a disk of its own.
  if (disk) await smallDisk(join(home, "audit"));
  try {
    const model = await tinyModel(join(root, "model"));
    const dice = new Dice(SEED);
    const source = Array.from({ length: 500 }, () => dice.int(0, 255));
    const all = lives(dice, { count: 6, source, turns: 5 });
    const want = await undisturbed(model, all);
    await using kernel = await TestedKernel.at(home, model, TREATMENT);
    const tellings: Telling[] = [];
    for (const life of all) tellings.push(new Telling(await kernel.os.ctx.create(), life));
    const turn = async (): Promise<void> => {
      await Promise.all(tellings.map((telling) => telling.turn()));
      await kernel.takeSlots();
      for (const telling of tellings) await telling.look();
    };
    const swapPlaces = async (): Promise<number> => {
      const { models } = await kernel.os.sys.free();
      return models[0]?.tiers.find(({ name }) => name === "swap")?.places ?? 0;
    };
    const swapped = () => tellings.reduce((sum, { told }) => sum + told.swapped, 0);
    const swap = join(home, "swap");

    await firstWrite(kernel);
    await turn();
    expect(swapped()).toBeGreaterThan(0);
    await rm(swap, { recursive: true });
    // The file has no name any more, and is there as long as its driver is.
    await turn();
    expect([(await swapPlaces()) > 0, swapped() > 0]).toEqual([true, true]);

    // The next driver makes another, in which nothing is that the kernel knows of.
    await kernel.killDriver();
    const [file = ""] = await readdir(swap);
    await firstWrite(kernel);
    await turn();
    expect(swapped()).toBeGreaterThan(0);

    if (disk) {
      await truncate(join(swap, file), 0);
      await fill(home);
    }
    await turn();
    expect((await kernel.os.sys.stats()).driverRestarts).toBe(1);
    if (disk) {
      // No page found room.
      expect((await stat(join(swap, file))).blocks * 512).toBeLessThan(PAGE_BYTES);
      await run("mount", ["--bind", swap, swap]);
      await run("mount", ["-o", "remount,ro,bind", swap]);
      await kernel.killDriver();
    }
    await turn();
    expect((await swapPlaces()) > 0).toBe(!disk);
    tellings.forEach(({ told }, i) => {
      expect(told.answers, `seed ${SEED}, context ${i}`).toEqual(want[i]?.answers);
    });
  } finally {
    if (disk) {
      await run("umount", [join(home, "swap")]).catch(() => {});
      await run("umount", [join(home, "audit")]);
      await run("umount", [home]);
    }
    await rm(root, { recursive: true, force: true });
  }
}, 180_000);

/** Waits for a driver's first write, with which its thread starts: only then others are quick. */
async function firstWrite({ os }: TestedKernel): Promise<void> {
  const { pagesWritten } = await os.sys.stats();
  const context = await os.ctx.create();
  await context.append({ tokens: Array.from({ length: 20 }, (_, i) => i) });
  await context.generate({ maxTokens: 1, ignoreEos: true });
  while ((await os.sys.stats()).pagesWritten === pagesWritten) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await context.close();
}

/** A disk of 16 MiB at `path`; false where none can be had, and it is a directory. */
async function smallDisk(path: string): Promise<boolean> {
  await run("mkdir", ["-p", path]);
  if (process.getuid?.() !== 0 || process.platform !== "linux") return false;
  return run("mount", ["-t", "tmpfs", "-o", "size=16m,mode=700", "none", path]).then(
    () => true,
    () => false,
  );
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
