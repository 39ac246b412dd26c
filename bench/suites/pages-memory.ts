/**
 * What kernel and driver take beside weights, slots and pages: at the start, when nothing was
 * used yet, and after work that used all of it: contexts that live on, more of them than there
 * are pages in RAM, written through to a swap file and read back from it.
 */
import { type Context, connect, type Os } from "../../syscalls/index.js";
import { startDaemon } from "../harness/daemon.js";
import { factsOf } from "../harness/process-facts.js";
import { type Figure, figure } from "../harness/report.js";
import { kvBytesPerToken, weightBytes } from "../harness/step-bytes.js";
import { compiledModel } from "./model.js";
import { say } from "./suite.js";

/** 128 contexts of 18 pages each, and a gibibyte of RAM holds 1,456 pages of the model's fp32. */
const PROCESSES = 4;
const CONTEXTS = 32;
const GIVEN = 256;
const MORE = 16;
const GENERATED = 8;
const LENGTH = GIVEN + MORE + 2 * GENERATED;
const MIB = 2 ** 20;

/** @param text tokens that contexts begin with, each with others @param flags of the daemon */
export async function pagesMemory(
  model: string,
  text: readonly number[],
  flags: readonly string[],
): Promise<Figure[]> {
  say("memory: contexts that fill slots, pages and swap");
  await using daemon = await startDaemon([...flags, "--swap", "2GiB"]);
  await using os = await connect({ home: daemon.home, name: "bench" });
  const dir = await compiledModel(model);
  const beside = async (): Promise<number> => {
    const { driverPid } = await os.sys.uname();
    const all = (await anonymousMiB(daemon.pid)) + (await anonymousMiB(driverPid));
    // The runtime keeps the weights in memory of its own, in the order in which it reads them.
    return all - (await weightBytes(dir)) / MIB;
  };
  const atStart = await beside();
  const agents = await Promise.all(
    Array.from({ length: PROCESSES }, (_, i) => agentOf(daemon.home, text, i)),
  );
  const used = (await usedBytes(os, await kvBytesPerToken(dir))) / MIB;
  const atWork = await beside();
  for (const agent of agents) await agent.close();
  return [
    figure("memory.start", "MiB", [atStart]),
    figure("memory.used", "MiB", [used]),
    figure("memory.beside", "MiB", [atWork - used]),
  ];
}

/** A process with contexts that took two turns each: they have left their slots in between. */
async function agentOf(home: string, text: readonly number[], agent: number): Promise<Os> {
  const os = await connect({ home, name: `agent-${agent + 1}`, timeoutMs: 60_000 });
  const contexts: Context[] = [];
  const turn = async (context: Context, from: number, given: number): Promise<void> => {
    await context.append({ tokens: text.slice(from, from + given) });
    await context.generate({ maxTokens: GENERATED, temperature: 0, ignoreEos: true });
  };
  for (let i = 0; i < CONTEXTS; i++) {
    const context = await os.ctx.create();
    contexts.push(context);
    await turn(context, ((agent * CONTEXTS + i) * GIVEN) % (text.length - GIVEN), GIVEN);
  }
  for (const [i, context] of contexts.entries()) await turn(context, i * MORE, MORE);
  return os;
}

/** Of slots and of pages in RAM, as far as contexts came: what was never touched takes nothing. */
async function usedBytes(os: Os, tokenBytes: number): Promise<number> {
  const [model] = (await os.sys.free()).models;
  const tier = (name: string) => model?.tiers.find((one) => one.name === name);
  const { pagesRead } = await os.sys.stats();
  const memory = tier("memory");
  if (!memory || memory.used < memory.places || pagesRead === 0) {
    throw new Error("the work was too small: pages in RAM are left, or none was swapped in");
  }
  return (tier("slots")?.places ?? 0) * LENGTH * tokenBytes + memory.bytesUsed;
}

async function anonymousMiB(pid: number): Promise<number> {
  const facts = await factsOf(pid);
  if (facts === undefined) throw new Error(`process ${pid} is gone`);
  return facts.memoryMiB;
}
