/**
 * What calls and the model take from each other: the time of a null call while rows decode on the
 * real engine, and the tokens a second that the rows lose to many agents' calls. The rows decode
 * for long; stretches with and without the calls of others follow each other.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Os } from "../../syscalls/index.js";
import type { Took } from "../agents/words.js";
import { alternate } from "../harness/alternate.js";
import { startDaemon } from "../harness/daemon.js";
import { type Figure, figure } from "../harness/report.js";
import { pairedRatio } from "../harness/stats.js";
import { evaluationText, passages } from "../harness/texts.js";
import { compiledModel } from "./model.js";
import { say } from "./suite.js";
import type { SyscallsOptions } from "./syscalls.js";
import { Callers } from "./syscalls-callers.js";

/** Calls a second of all agents together. */
const RATE = 500;
/** Of the one whose calls are timed, milliseconds apart. */
const EVERY_MS = 5;
const SLOT_TOKENS = 1024;
const WORDS = 20;

interface Stretch {
  readonly tokensPerSecond: number;
  readonly timed: Took | undefined;
}

export async function decodeUnderCalls(options: SyscallsOptions): Promise<Figure[]> {
  const { model, rows, agents, seconds, threads, rounds } = options;
  await compiledModel(model);
  const settings = { model, slots: rows, "slot-tokens": SLOT_TOKENS, threads };
  const flags = Object.entries(settings).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  await using daemon = await startDaemon(flags);
  await using one = await Callers.start(1, daemon, ["null"]);
  await using many = await Callers.start(agents, daemon, ["null"]);
  await using os = await connect({ home: daemon.home, name: "bench" });
  const everyMs = (agents * 1000) / RATE;
  const order = { way: "null", seconds } as const;
  const timed = async (): Promise<Took | undefined> =>
    (await one.run({ ...order, everyMs: EVERY_MS })).at(0);
  const quiet = async (): Promise<undefined> => void (await sleep(seconds * 1000));
  const busy = async (): Promise<undefined> => void (await many.run({ ...order, everyMs }));
  const runs = await alternate<Stretch>(
    rounds,
    Object.entries({ quiet, timed, busy }).map(([name, act]) => ({
      name,
      run: () => whileDecoding(os, options, act),
    })),
    (side, round, { tokensPerSecond }) =>
      say(`round ${round + 1}: decode, ${side}: ${tokensPerSecond.toFixed(1)} tok/s`),
  );
  const speeds = (side: string): number[] =>
    (runs.get(side) ?? []).map(({ tokensPerSecond }) => tokensPerSecond);
  const calls = (what: keyof Took): number[] =>
    (runs.get("timed") ?? []).map(({ timed: took }) => (took?.[what] ?? Number.NaN) / 1000);
  const lost = pairedRatio(speeds("busy"), speeds("quiet")).samples.map((share) => 1 - share);
  return [
    figure("decode.null.p99", "ms", calls("p99Us")),
    figure("decode.null.p50", "ms", calls("p50Us")),
    figure("decode.null.max", "ms", calls("maxUs")),
    figure("decode.cost", "of tokens/s", lost),
    figure("decode.quiet", "tok/s", speeds("quiet")),
    figure("decode.busy", "tok/s", speeds("busy")),
  ];
}

/** All rows decode from before `act` begins until it is over; their speed meanwhile. */
async function whileDecoding(
  os: Os,
  { rows, seed }: SyscallsOptions,
  act: () => Promise<Took | undefined>,
): Promise<Stretch> {
  const prompts = passages(await evaluationText("tom-sawyer"), rows, WORDS, seed);
  const enough = new AbortController();
  const generations = prompts.map((prompt) =>
    os.llm.generate(prompt, { ignoreEos: true, temperature: 0, signal: enough.signal }).then(
      () => "over",
      () => "ended",
    ),
  );
  while (!(await os.sys.stats()).slot.every(({ phase }) => phase === "decode")) await sleep(50);
  const before = await decoded(os);
  const timed = await act();
  const after = await decoded(os);
  enough.abort();
  if ((await Promise.all(generations)).includes("over")) {
    throw new Error("the rows did not decode for as long: take fewer seconds");
  }
  const tokensPerSecond = (after.tokens - before.tokens) / ((after.atMs - before.atMs) / 1000);
  return { tokensPerSecond, timed };
}

async function decoded(os: Os): Promise<{ tokens: number; atMs: number }> {
  const { tokensDecoded } = await os.sys.stats();
  return { tokens: tokensDecoded, atMs: performance.now() };
}
