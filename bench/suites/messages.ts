/**
 * Many agents that ask a model and talk to each other: how much longer it takes than the model
 * alone. Each agent is a process; all begin at once; between its three calls of the model it tells
 * its next neighbour in a ring and hears from the one before. The fake model takes 200 ms for a
 * call, as many at once as it has slots. Alone it gets the same calls as whole plans, slots filled
 * anew as soon as they are all free, and nobody answers it. Beside it the same agents do the same
 * with a bare hub: lines on a socket, a timer for the model, and nothing checked, booked or kept.
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { PLAIN_DRIVER } from "../../proto/plain-driver.js";
import { Done, type Hub, type Talker } from "../agents/words.js";
import { alternate } from "../harness/alternate.js";
import { startDaemon } from "../harness/daemon.js";
import { type BareDriver, startDriver } from "../harness/driver.js";
import { Forked } from "../harness/forked.js";
import { processSeconds } from "../harness/machine.js";
import { decodePlans } from "../harness/plans.js";
import { type Figure, figure } from "../harness/report.js";
import { inCheckout } from "../harness/root.js";
import { pairedRatio, type Summary } from "../harness/stats.js";
import { type SuiteResult, say } from "./suite.js";

export interface MessagesOptions {
  readonly agents: readonly number[];
  readonly rounds: number;
}

const CALLS = 3;
/** A call's tokens and the time of each: 200 ms. */
const TOKENS = 20;
const STEP_US = 10_000;
const SLOTS = 64;
const SLOT_TOKENS = 64;
const FAKE = JSON.stringify({ stepUs: STEP_US });

interface Run {
  readonly seconds: number;
  /** Messages that did not come, or not as they should. */
  readonly lost: number;
  /** CPU of the kernel, or of the hub in its place, and of all agents together. */
  readonly serverSeconds: number;
  readonly agentsSeconds: number;
}

const NOTES = [
  "busy: the CPU time of the kernel and the agents over the makespan on all processors. Near 1 the processors bound the " +
    "makespan, and the ratio says what a call costs; far below 1 it is bound by waiting.",
  "bare: the same agents with a server that answers each call of the model after 200 ms, hands messages on, and checks, " +
    "books and keeps nothing: what its ratio shows is the processes' and the machine's. Its 200 ms are one timer, where the " +
    "model alone needs some more for 20 steps, so it can be below 1. It has no slots, and so is left out where there are " +
    "more agents than slots.",
];

export async function messages({ agents, rounds }: MessagesOptions): Promise<SuiteResult> {
  const figures: Figure[] = [];
  for (const count of agents) figures.push(...(await withAgents(count, rounds)));
  const parameters = { agents: agents.join(), rounds, calls: CALLS, slots: SLOTS };
  return {
    parameters: { ...parameters, callMs: (TOKENS * STEP_US) / 1000 },
    figures,
    notes: NOTES,
  };
}

async function withAgents(count: number, rounds: number): Promise<Figure[]> {
  const open = { slots: SLOTS, slotTokens: SLOT_TOKENS, threads: 1, model: "", options: FAKE };
  const entry = inCheckout("dist", "servers", "llm", "fake", "main.js");
  await using driver = await startDriver(entry, { ...open, ...PLAIN_DRIVER });
  const flags = ["--driver", "fake", "--driver-options", FAKE];
  const sizes = ["--slots", `${SLOTS}`, "--slot-tokens", `${SLOT_TOKENS}`];
  await using daemon = await startDaemon([...flags, ...sizes]);
  const token = (await readFile(join(daemon.home, "admin.token"), "utf8")).trim();
  const hub = join(daemon.home, "hub.sock");
  const settings: Hub = { path: hub, callMs: (TOKENS * STEP_US) / 1000 };
  await using bare = await Forked.start("agents/bare-hub.js", settings);
  const talker: Talker = { home: daemon.home, token, hub, calls: CALLS, tokens: TOKENS };
  say(`${count} agents start`);
  const ring = await Forked.group(count, "agents/talker.js", talker);
  await using _ = { [Symbol.asyncDispose]: () => end(ring) };
  ring.forEach((agent, i) => {
    agent.tell({ next: z.string().parse(ring[(i + 1) % count]?.greeting) });
  });
  let number = 0;
  const runs = await alternate<Run>(
    rounds,
    [
      { name: "model", run: () => modelAlone(driver, count) },
      { name: "agents", run: () => inRing(ring, daemon.pid, ++number, false) },
      ...(count > SLOTS
        ? []
        : [{ name: "bare", run: () => inRing(ring, bare.pid, ++number, true) }]),
    ],
    (side, round, { seconds }) =>
      say(`round ${round + 1}: ${count} agents, ${side}: ${seconds.toFixed(3)} s`),
  );
  const of = (side: string, what: keyof Run): number[] =>
    (runs.get(side) ?? []).map((run) => run[what]);
  const id = `agents${count}`;
  const calls = count * (CALLS + 2 * (CALLS - 1));
  const perCall = (side: string, what: "serverSeconds" | "agentsSeconds"): number[] =>
    of(side, what).map((seconds) => (seconds * 1e6) / calls);
  const ratio = (side: string): Summary => pairedRatio(of(side, "seconds"), of("model", "seconds"));
  const bareFigures = () => [
    figure(`${id}.bare.ratio`, "× model", ratio("bare")),
    figure(`${id}.bare.hub`, "µs of CPU a call", perCall("bare", "serverSeconds")),
    figure(`${id}.bare.agents`, "µs of CPU a call", perCall("bare", "agentsSeconds")),
  ];
  return [
    figure(`${id}.ratio`, "× model", ratio("agents")),
    ...(runs.has("bare") ? bareFigures() : []),
    figure(`${id}.lost`, "messages", of("agents", "lost")),
    figure(`${id}.makespan`, "s", of("agents", "seconds")),
    figure(`${id}.model`, "s", of("model", "seconds")),
    figure(`${id}.kernel`, "µs of CPU a call", perCall("agents", "serverSeconds")),
    figure(`${id}.agents`, "µs of CPU a call", perCall("agents", "agentsSeconds")),
    figure(`${id}.busy`, "of the processors", (runs.get("agents") ?? []).map(busy)),
  ];
}

let nextBurst = 1n;

/** All calls of so many agents, as many at once as there are agents and slots. */
async function modelAlone(driver: BareDriver, agents: number): Promise<Run> {
  const atOnce = Math.min(agents, SLOTS);
  const start = performance.now();
  for (let left = agents * CALLS; left > 0; left -= atOnce) {
    const rows = Math.min(left, atOnce);
    const prompts = Array.from({ length: rows }, () => ["?".charCodeAt(0)]);
    const { chunkTokens: chunk } = driver.ready;
    const work = { prompts, tokens: TOKENS, chunk, firstBurst: nextBurst, held: true };
    nextBurst += BigInt(rows);
    await driver.client.run(decodePlans(work).decode);
  }
  const seconds = (performance.now() - start) / 1000;
  return { seconds, lost: 0, serverSeconds: 0, agentsSeconds: 0 };
}

function busy({ seconds, serverSeconds, agentsSeconds }: Run): number {
  return (serverSeconds + agentsSeconds) / (seconds * availableParallelism());
}

/** From the word to go until the last agent has reported. `server`: who they call, the kernel or the bare hub. */
async function inRing(
  ring: readonly Forked[],
  server: number,
  number: number,
  bare: boolean,
): Promise<Run> {
  const ofAgents = (): number => ring.reduce((sum, { pid }) => sum + processSeconds(pid), 0);
  const before = { server: processSeconds(server), agents: ofAgents() };
  const start = performance.now();
  const reports = ring.map((agent) => agent.hear(120_000));
  for (const agent of ring) agent.tell({ go: number, bare });
  const done = z.array(Done).parse(await Promise.all(reports));
  const seconds = (performance.now() - start) / 1000;
  const serverSeconds = processSeconds(server) - before.server;
  const agentsSeconds = ofAgents() - before.agents;
  if (done.some(({ tokens }) => tokens !== CALLS * TOKENS)) throw new Error("an answer was short");
  const lost = done.reduce((all, { heard, wrong }) => {
    return all + (CALLS - 1 - heard) + (wrong === "" ? 0 : 1);
  }, 0);
  return { seconds, lost, serverSeconds, agentsSeconds };
}

async function end(ring: readonly Forked[]): Promise<void> {
  await Promise.all(ring.map((agent) => agent[Symbol.asyncDispose]()));
}
