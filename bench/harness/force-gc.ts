/**
 * Collects garbage by force at random moments in a driver's process: loaded before its program
 * (`node --import force-gc.js`, also by NODE_OPTIONS). A native run is under way most of the time,
 * so most collections meet one. Between them it makes garbage of every kind that may be moved or
 * freed under native code: small typed arrays on the heap of V8, large ones outside of it.
 *
 * CONTIX_BENCH_GC is the seed; without it, or in another program than a driver, nothing happens.
 */
import { sep } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { isMainThread } from "node:worker_threads";
import { random } from "./random.js";

const LONGEST_PAUSE_MS = 30;
/** One collection in this many takes all objects, the others take young ones. */
const FULL = 8;

const seed = process.env.CONTIX_BENCH_GC;
const program = process.argv[1] ?? "";

if (seed !== undefined && isMainThread && program.includes(["servers", "llm"].join(sep))) {
  setFlagsFromString("--expose-gc");
  const gc: (options?: { type: "minor" }) => void = runInNewContext("gc");
  const next = random(Number(seed));
  let litter: unknown[] = [];
  const turn = (): void => {
    for (let i = 0; i < 64; i++) litter.push(new Float32Array(1 + Math.floor(next() * 16)));
    litter.push(new Float32Array(1 + Math.floor(next() * 2 ** 18)));
    if (litter.length > 1000) litter = [];
    if (next() * FULL < 1) gc();
    else gc({ type: "minor" });
    setTimeout(turn, next() * LONGEST_PAUSE_MS).unref();
  };
  setTimeout(turn, LONGEST_PAUSE_MS).unref();
}
