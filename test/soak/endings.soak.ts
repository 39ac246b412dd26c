/**
 * Ends a driver in the middle of its work, at random moments and in every way that a kernel can:
 * it must leave with code 0 and by itself, never by a signal (a process that exits while ONNX
 * Runtime runs aborts). CONTIX_SOAK_ENDINGS of them (12 by default), CONTIX_SOAK_SEED again.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { DriverClient } from "../../bench/harness/driver.js";
import { wholePlan } from "../../bench/harness/plans.js";
import { random } from "../../bench/harness/random.js";
import { inCheckout } from "../../bench/harness/root.js";
import { compiledModel } from "../../bench/suites/model.js";
import { DEFAULT_MODEL } from "../../bench/suites/suite.js";
import { PLAIN_DRIVER } from "../../proto/plain-driver.js";

const { CONTIX_SOAK_ENDINGS, CONTIX_SOAK_SEED, CONTIX_SOAK_MODEL } = process.env;
const endings = Number(CONTIX_SOAK_ENDINGS ?? 12);
const seed = Number(CONTIX_SOAK_SEED ?? Math.floor(Math.random() * 2 ** 31));

const WAYS = ["shutdown", "close", "shutdown while loading", "close while loading"] as const;

/** A driver's life. @returns its exit code, or the signal that ended it */
async function life(threads: number, way: (typeof WAYS)[number], afterMs: number) {
  const entry = inCheckout("dist", "servers", "llm", "main.js");
  const child = spawn(process.execPath, [entry], { stdio: ["ignore", 2, 2, "pipe"] });
  const ended = once(child, "exit");
  const stream = child.stdio[3];
  if (!(stream instanceof Duplex)) throw new Error("no stream to the driver");
  const client = new DriverClient(stream);
  const model = await compiledModel(CONTIX_SOAK_MODEL ?? DEFAULT_MODEL);
  const opening = client.open({
    model,
    slots: 4,
    slotTokens: 256,
    threads,
    options: "",
    ...PLAIN_DRIVER,
  });
  opening.catch(() => {});
  if (!way.endsWith("loading")) {
    const { chunkTokens: chunk } = await opening;
    const prompts = Array.from({ length: 4 }, (_, i) => Array.from({ length: 100 }, () => 5 + i));
    client.run(wholePlan({ prompts, tokens: 150, chunk, firstBurst: 1n })).catch(() => {});
  }
  await sleep(afterMs);
  if (way.startsWith("shutdown")) client.shutdown();
  else stream.destroy();
  const [code, signal] = await ended;
  return signal ?? code;
}

test.for([1, 2])(`a driver at %i thread(s) leaves in good order, seed ${seed}`, async (threads) => {
  const next = random(seed + threads);
  for (let i = 0; i < endings; i++) {
    const way = WAYS[i % WAYS.length] ?? "close";
    expect(await life(threads, way, next() * 400), way).toBe(0);
  }
});
