/**
 * Where no control group holds an agent, a process that took a session of its own (setsid)
 * is in no group of its agent's any more, and once its parent is gone it is nobody's child.
 * What it still has is the environment that it was started with: each run of an agent has a
 * mark in it. When the run is over, whoever bears its mark is ended, and looked for again
 * until nobody does. Who also starts with an environment of his own making is not found:
 * that needs control groups.
 */
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type Randomness, secret } from "../clock.js";

/** The variable that holds a run's mark. */
export const MARK = "CONTIX_RUN_MARK";
/** Many runs that end together are looked after in one go, milliseconds. */
const TOGETHER_MS = 20;

export class Stragglers {
  readonly #random: Randomness;
  readonly #ended = new Set<string>();
  #looking: Promise<void> | undefined;

  constructor(random: Randomness) {
    this.#random = random;
  }

  /** The mark of a new run. */
  mark(): string {
    return secret(this.#random);
  }

  /** The run of that mark is over: who bears it is ended soon. */
  end(mark: string): void {
    this.#ended.add(mark);
    this.#looking ??= this.#look();
  }

  /** Resolves when nobody is left whose run is over. */
  async settled(): Promise<void> {
    await this.#looking;
  }

  async #look(): Promise<void> {
    while (this.#ended.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, TOGETHER_MS));
      const looked = new Set(this.#ended);
      const found = new Set<string>();
      for await (const { osPid, mark } of bearers(looked)) {
        found.add(mark);
        end(osPid);
      }
      // One that was found may have started another in the meantime.
      for (const mark of looked) if (!found.has(mark)) this.#ended.delete(mark);
    }
    this.#looking = undefined;
  }
}

/**
 * The processes of this machine that bear one of the marks. One after the other: there may be
 * thousands, and the daemon has others to serve.
 */
async function* bearers(marks: ReadonlySet<string>) {
  for (const osPid of processes()) {
    const mark = await markOf(osPid);
    if (mark !== undefined && marks.has(mark)) yield { osPid, mark };
  }
}

/** Where a system shows none, there are none to be found. */
function processes(): number[] {
  try {
    return readdirSync("/proc").map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

async function markOf(osPid: number): Promise<string | undefined> {
  try {
    const environment = (await readFile(`/proc/${osPid}/environ`, "latin1")).split("\0");
    return environment.find((each) => each.startsWith(`${MARK}=`))?.slice(MARK.length + 1);
  } catch {
    // It is over, or another user's.
    return undefined;
  }
}

function end(osPid: number): void {
  try {
    process.kill(osPid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
