#!/usr/bin/env node
/**
 * node-llama-cpp as a peer: a process of its own that reads one JSON request a line on
 * standard input and answers each with one JSON line on standard output.
 *
 *   {"id":1,"cmd":"load","gguf":"/path.gguf","threads":2}      → {model, gpu, cpuThreads, ...}
 *   {"id":2,"cmd":"open","rows":8,"tokens":160}                → {contextSize, batchSize}
 *   {"id":3,"cmd":"tokenize","text":"..."}                     → {tokens}
 *   {"id":4,"cmd":"decode","prompts":[[ids],...],"steps":64,"mode":"lockstep"}
 *                                                              → {seconds, stepMs, tokens, first}
 *   {"id":5,"cmd":"prefill","prompt":[ids]}                    → {seconds, tokens}
 *   {"id":6,"cmd":"close"}                                     → {}, then the process exits
 *
 * Answers are {"id", "result"} or {"id", "error"}. Decoding uses `sequence.evaluate`: one
 * context with as many sequences as rows. All sequences are evaluated concurrently, so the
 * library puts what is queued at one moment into one batch. How the sequences are pulled
 * decides how well that works, so there are two modes and the caller takes the faster:
 *   "free"      each sequence is its own loop (`for await`), as an application would write it;
 *   "lockstep"  the next token of every sequence is asked for at the same moment.
 * Prompts are evaluated before the clock starts; the clock covers `steps` tokens of every row.
 */
import { createInterface } from "node:readline";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const now = () => performance.now();

/** What is loaded; one model and at most one context at a time. */
const state = { llama: undefined, model: undefined, context: undefined, sequences: [] };

async function load({ gguf, threads }) {
  // Never build and never download: only the prebuilt CPU library that came as a package.
  state.llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    usePrebuiltBinaries: true,
    progressLogs: false,
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
    logger: (level, message) => process.stderr.write(`${level}: ${message}\n`),
  });
  state.model = await state.llama.loadModel({ modelPath: gguf });
  return {
    gpu: state.llama.gpu,
    threads: state.llama.maxThreads,
    mathCores: state.llama.cpuMathCores,
    type: state.model.typeDescription,
    trainContext: state.model.trainContextSize,
    systemInfo: state.llama.systemInfo,
  };
}

async function open({ rows, tokens }) {
  need(state.model, "load a model first");
  await state.context?.dispose();
  state.context = await state.model.createContext({
    sequences: rows,
    contextSize: tokens,
    batchSize: 512,
    threads: state.llama.maxThreads,
  });
  state.sequences = Array.from({ length: rows }, () => state.context.getSequence());
  return {
    contextSize: state.context.contextSize,
    batchSize: state.context.batchSize,
    threads: state.context.idealThreads,
    flashAttention: state.context.flashAttention,
  };
}

async function tokenize({ text }) {
  need(state.model, "load a model first");
  return { tokens: state.model.tokenize(text) };
}

async function decode({ prompts, steps, mode }) {
  need(prompts.length <= state.sequences.length, "more prompts than open rows");
  const sequences = state.sequences.slice(0, prompts.length);
  for (const sequence of sequences) await sequence.clearHistory();
  const options = { temperature: 0, yieldEogToken: true };
  const iterators = sequences.map((sequence, i) => sequence.evaluate(prompts[i], options));
  const first = await Promise.all(iterators.map(token)); // prompts and the first token
  const pull = mode === "free" ? pullFree : pullLockstep;
  const start = now();
  const { ends, tokens } = await pull(iterators, steps);
  const seconds = (now() - start) / 1000;
  await Promise.all(iterators.map((iterator) => iterator.return()));
  const stepMs = ends.map((end, i) => end - (i === 0 ? start : ends[i - 1]));
  return { seconds, stepMs, tokens: first.map((id, i) => [id, ...tokens[i]]), mode };
}

/** Asks every sequence for its next token at once, `steps` times. */
async function pullLockstep(iterators, steps) {
  const ends = [];
  const tokens = iterators.map(() => []);
  for (let step = 0; step < steps; step++) {
    const ids = await Promise.all(iterators.map(token));
    ids.forEach((id, i) => {
      tokens[i].push(id);
    });
    ends.push(now());
  }
  return { ends, tokens };
}

/** Lets each sequence run its own loop; a step ends when its last sequence has the token. */
async function pullFree(iterators, steps) {
  const ends = new Array(steps).fill(0);
  const tokens = await Promise.all(
    iterators.map(async (iterator) => {
      const own = [];
      for (let step = 0; step < steps; step++) {
        own.push(await token(iterator));
        ends[step] = Math.max(ends[step], now());
      }
      return own;
    }),
  );
  return { ends, tokens };
}

async function token(iterator) {
  const { value, done } = await iterator.next();
  need(!done, "the sequence ended early");
  return value;
}

async function prefill({ prompt }) {
  const [sequence] = state.sequences;
  need(sequence, "open a context first");
  await sequence.clearHistory();
  const start = now();
  await sequence.evaluateWithoutGeneratingNewTokens(prompt);
  return { seconds: (now() - start) / 1000, tokens: prompt.length };
}

async function close() {
  await state.context?.dispose();
  await state.model?.dispose();
  await state.llama?.dispose();
  return {};
}

function need(condition, message) {
  if (!condition) throw new Error(message);
}

const COMMANDS = { load, open, tokenize, decode, prefill, close };

async function answer(line) {
  const { id, cmd, ...args } = JSON.parse(line);
  try {
    const command = Object.hasOwn(COMMANDS, cmd) ? COMMANDS[cmd] : undefined;
    need(command, `no command ${cmd}; there are ${Object.keys(COMMANDS).join(", ")}`);
    return { id, result: await command(args), last: cmd === "close" };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") continue;
  const { last, ...reply } = await answer(line);
  process.stdout.write(`${JSON.stringify(reply)}\n`);
  if (last) break;
}
process.exit(0);
