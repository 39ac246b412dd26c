/**
 * The soak: random arrivals, lengths, samplings and cancels on the real model in the real driver
 * process, garbage collected there by force all the time. Nothing may crash, grow, or come out
 * wrong: a sample of the answers is computed again, each alone on a fresh daemon that collects
 * nothing, and compared (what a cancelled call had given must be the beginning of the answer).
 * It ends in the middle of work, which the daemon must leave in good order.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { connect } from "../../syscalls/index.js";
import { type Daemon, startDaemon } from "../harness/daemon.js";
import { driversOf, factsOf, type ProcessFacts } from "../harness/process-facts.js";
import { type Figure, figure } from "../harness/report.js";
import { inCheckout } from "../harness/root.js";
import { summarize } from "../harness/stats.js";
import { evaluationText } from "../harness/texts.js";
import { compiledModel } from "./model.js";
import { type Answer, type Counts, work } from "./soak-work.js";
import { type SuiteResult, say } from "./suite.js";

export interface SoakOptions {
  readonly model: string;
  /** Of each soak. */
  readonly seconds: number;
  readonly threadCounts: readonly number[];
  readonly seed: number;
}

const SLOTS = 8;
const SLOT_TOKENS = 256;
/** More than there are slots: some always wait. */
const CALLERS = 12;
const SAMPLE_MS = 1000;
/** Answers that are computed again: so many, or one in so many of a long soak. */
const COMPARED = 60;

const NOTES = [
  "crashes: ends of a driver or daemon that nobody asked for, the end in the middle of work included. wrong: answers that " +
    "were not the same when computed again alone, of `compared`. growth: resident memory that is the process's own, MiB, the " +
    "median of the last quarter over that of the second, the greater of driver and daemon. handles: descriptors more, the " +
    "same way, since the last thread was started: each has a few.",
];

/** Pages are full at once and go all the time, to the swap file and back. */
const LITTLE_ROOM = { CONTIX_PAGE_MEMORY: "16MiB", CONTIX_SWAP: "64MiB" };

/** What was seen of one process once a second. */
type History = Map<number, ProcessFacts[]>;

export async function soak(options: SoakOptions): Promise<SuiteResult> {
  const { model, seconds, threadCounts, seed } = options;
  await compiledModel(model);
  say(`soak with seed ${seed}`);
  const words = (await evaluationText("tom-sawyer")).split(/\s+/).filter(Boolean);
  const figures: Figure[] = [];
  for (const threads of threadCounts) {
    figures.push(...(await soakAt(threads, words, options)));
  }
  const parameters = { model, seconds, threads: threadCounts.join(), seed, slots: SLOTS };
  return { parameters, figures, notes: NOTES };
}

async function soakAt(
  threads: number,
  words: readonly string[],
  { model, seconds, seed }: SoakOptions,
): Promise<Figure[]> {
  const answers: Answer[] = [];
  const preload = pathToFileURL(inCheckout("dist", "bench", "harness", "force-gc.js")).href;
  await using daemon = await startDaemon(flags(model, threads), {
    ...LITTLE_ROOM,
    NODE_OPTIONS: `--import ${preload}`,
    CONTIX_BENCH_GC: String(seed + threads),
  });
  await fill(daemon, words);
  const started = performance.now();
  const { counts, history, crashes } = await underWatch(daemon, () =>
    workOn(daemon, words, seed + threads, started + seconds * 1000, (answer) =>
      answers.push(answer),
    ),
  );
  const minutes = (performance.now() - started) / 60_000;
  const endedWell = await endInTheMiddle(daemon, words, seed + threads);
  // Of a call that was cancelled before its first text there is nothing to compare.
  const sample = spread(
    answers.filter(({ tokens, text }) => tokens !== undefined || text !== ""),
    COMPARED,
  );
  const wrong = await recompute(sample, model, threads);
  const memory = growth(history, ({ memoryMiB }) => memoryMiB);
  const handles = growth(sinceLastThread(history), ({ descriptors }) => descriptors);
  say(
    `${threads} thread(s): ${minutes.toFixed(1)} min, ${counts.answered} answers, ${counts.cancelled} cancelled, ` +
      `${counts.refused} refused, ${counts.tokens} tokens; ${wrong} of ${sample.length} wrong, ${crashes} crashes; ` +
      `${memory.toFixed(1)} MiB and ${handles} descriptors more${endedWell ? "" : "; did not end well"}`,
  );
  const name = `threads${threads}`;
  return [
    figure(`${name}.minutes`, "minutes", [minutes]),
    figure(`${name}.crashes`, "crashes", [crashes + (endedWell ? 0 : 1)]),
    figure(`${name}.wrong`, "answers", [wrong]),
    figure(`${name}.compared`, "answers", [sample.length]),
    figure(`${name}.growth`, "MiB", [memory]),
    figure(`${name}.handles`, "descriptors", [handles]),
    figure(`${name}.threadsMore`, "threads", [growth(history, (facts) => facts.threads)]),
    ...(["answered", "cancelled", "refused", "tokens"] as const).map((key) =>
      figure(`${name}.${key}`, key === "tokens" ? "tokens" : "calls", [counts[key]]),
    ),
  ];
}

function flags(model: string, threads: number): string[] {
  const settings = { model, threads, slots: SLOTS, "slot-tokens": SLOT_TOKENS };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

/** Writes to all memory that is set aside for slots and pages: what comes then is growth. */
async function fill(daemon: Daemon, words: readonly string[]): Promise<void> {
  await using os = await connect({ home: daemon.home, name: "fill" });
  const prompts = Array.from({ length: SLOTS }, (_, i) => words.slice(i * 120, i * 120 + 120));
  const options = { maxTokens: SLOT_TOKENS, ignoreEos: true };
  const generate = (prompt: string[]) => os.llm.generate(prompt.join(" "), options);
  await Promise.all(prompts.map(generate));
  // From the swap file: the threads that read it start with their first page.
  await Promise.all(prompts.map(generate));
}

async function workOn(
  daemon: Daemon,
  words: readonly string[],
  seed: number,
  until: number,
  onAnswer: (answer: Answer) => void,
): Promise<Counts> {
  await using os = await connect({ home: daemon.home, name: "soak" });
  // Awaited here: the connection ends with this function.
  return await work(os, { words, seed, callers: CALLERS, until, onAnswer });
}

/** Looks at the daemon and its driver once a second while `run` runs. */
async function underWatch(
  daemon: Daemon,
  run: () => Promise<Counts>,
): Promise<{ counts: Counts; history: History; crashes: number }> {
  const history: History = new Map();
  const drivers = new Set<number>();
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      const here = await driversOf(daemon.pid);
      for (const driver of here) drivers.add(driver);
      for (const pid of [daemon.pid, ...here]) {
        const facts = await factsOf(pid);
        if (facts !== undefined) history.set(pid, [...(history.get(pid) ?? []), facts]);
      }
      await sleep(SAMPLE_MS, undefined, { signal: over.signal }).catch(() => {});
    }
  })();
  try {
    const counts = await run();
    return { counts, history, crashes: Math.max(0, drivers.size - 1) };
  } finally {
    over.abort();
    await watching;
  }
}

/** Stops the daemon while it works. @returns whether it ended as it should */
async function endInTheMiddle(
  daemon: Daemon,
  words: readonly string[],
  seed: number,
): Promise<boolean> {
  // The calls are lost with the daemon, and say so.
  const calls = workOn(daemon, words, seed + 1, performance.now() + 5000, () => {}).catch(() => {});
  await sleep(1000);
  const code = await daemon.stop();
  await calls;
  if (code !== 0) say(`the daemon ended with ${code}`);
  return code === 0;
}

/** Up to `count` answers from all over the soak. */
function spread(answers: readonly Answer[], count: number): Answer[] {
  const every = Math.max(1, Math.floor(answers.length / count));
  return answers.filter((_, i) => i % every === 0).slice(0, count);
}

/** Computes answers again, one after the other. @returns how many came out differently */
async function recompute(
  answers: readonly Answer[],
  model: string,
  threads: number,
): Promise<number> {
  await using daemon = await startDaemon(flags(model, threads));
  await using os = await connect({ home: daemon.home, name: "recompute" });
  let wrong = 0;
  for (const { prompt, options, tokens, text } of answers) {
    const again = await os.llm.generate(prompt, options);
    const same =
      tokens === undefined ? again.text.startsWith(text) : again.tokens.join() === tokens.join();
    if (same) continue;
    wrong += 1;
    say(`differs: ${JSON.stringify({ prompt, options, first: text, again: again.text })}`);
  }
  return wrong;
}

/** The most that any process grew by from the second quarter to the last, by their medians. */
/** What was seen since processes had as many threads as at the end. */
function sinceLastThread(history: History): History {
  return new Map(
    [...history].map(([pid, facts]) => [
      pid,
      facts.filter(({ threads }) => threads === facts.at(-1)?.threads),
    ]),
  );
}

function growth(history: History, of: (facts: ProcessFacts) => number): number {
  const grown = [...history.values()].map((facts) => {
    const quarter = Math.floor(facts.length / 4);
    if (quarter === 0) return 0;
    const median = (part: readonly ProcessFacts[]): number => summarize(part.map(of)).median;
    return median(facts.slice(-quarter)) - median(facts.slice(quarter, 2 * quarter));
  });
  return Math.max(0, ...grown);
}
