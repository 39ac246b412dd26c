#!/usr/bin/env node
/**
 * node-llama-cpp as a peer: a process of its own that speaks the protocol of serve.mjs.
 *
 *   load     {gguf, threads}                    → {gpu, threads, type, systemInfo, ...}
 *   open     {rows, tokens, ...tuning}          → {contextSize, batchSize, flashAttention, ...}
 *   tokenize {text}                             → {tokens}
 *   decode   {prompts: [[ids], ...], steps, mode} → {seconds, stepMs, tokens}
 *   prefill  {prompt: [ids]}                    → {seconds, tokens}
 *   save     {file}                             → {seconds, bytes}: the first sequence's state
 *   restore  {file}                             → {seconds, tokens}: into the emptied sequence
 *
 * One context has as many sequences as rows, and the library puts what is queued at one moment
 * into one batch. How the sequences are pulled decides how well that works:
 *   "free"        each sequence is its own loop over `evaluate`, as an application would write it;
 *   "lockstep"    the next token of every sequence is asked of `evaluate` at the same moment;
 *   "controlled"  the same, by `controlledEvaluate`: one call a token and a sequence.
 * Tuning: `batchSize`, `flashAttention` (true, false or "auto") and `kv` ("F16", "F32", "Q8_0"), of
 * which the caller takes the fastest. Prompts are evaluated before the clock starts; the clock
 * covers `steps` tokens of every row.
 */
import { getLlama, LlamaLogLevel } from "node-llama-cpp";
import { need, serve } from "./serve.mjs";

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

async function open({ rows, tokens, batchSize = 512, flashAttention = "auto", kv }) {
  need(state.model, "load a model first");
  await state.context?.dispose();
  state.context = await state.model.createContext({
    sequences: rows,
    contextSize: tokens,
    batchSize,
    flashAttention,
    threads: state.llama.maxThreads,
    ...(kv && { experimentalKvCacheKeyType: kv, experimentalKvCacheValueType: kv }),
  });
  state.sequences = Array.from({ length: rows }, () => state.context.getSequence());
  const { contextSize, idealThreads, kvCacheKeyType } = state.context;
  return {
    contextSize,
    batchSize: state.context.batchSize,
    threads: idealThreads,
    flashAttention: state.context.flashAttention,
    kv: kvCacheKeyType,
  };
}

async function tokenize({ text }) {
  need(state.model, "load a model first");
  return { tokens: state.model.tokenize(text) };
}

async function decode({ prompts, steps, mode }) {
  need(prompts.length <= state.sequences.length, "more prompts than open rows");
  need(Object.hasOwn(PULLS, mode), `no mode ${mode}; there are ${Object.keys(PULLS).join(", ")}`);
  const sequences = state.sequences.slice(0, prompts.length);
  // What a sequence holds of its prompt from the run before stays; its last token is entered again.
  const rest = [];
  for (const [i, sequence] of sequences.entries()) {
    await sequence.adaptStateToTokens(prompts[i].slice(0, -1), false);
    rest.push(prompts[i].slice(sequence.nextTokenIndex));
  }
  const { start, ends, first, tokens } = await PULLS[mode](sequences, rest, steps);
  const stepMs = ends.map((end, i) => end - (i === 0 ? start : ends[i - 1]));
  const seconds = (ends.at(-1) - start) / 1000;
  return { seconds, stepMs, tokens: first.map((id, i) => [id, ...tokens[i]]) };
}

/** By `evaluate`: enters the prompts and takes the first tokens, then times `pull`. */
function evaluated(pull) {
  return async (sequences, prompts, steps) => {
    const options = { temperature: 0, yieldEogToken: true };
    const iterators = sequences.map((sequence, i) => sequence.evaluate(prompts[i], options));
    const first = await Promise.all(iterators.map(token));
    const start = now();
    const { ends, tokens } = await pull(iterators, steps);
    await Promise.all(iterators.map((iterator) => iterator.return()));
    return { start, ends, first, tokens };
  };
}

/** Asks every sequence for the token after the one it gave, by `controlledEvaluate`. */
async function pullControlled(sequences, prompts, steps) {
  const wanted = { generateNext: { token: true } };
  const next = async (sequence, given) => {
    const input = [...given.slice(0, -1), [given.at(-1), wanted]];
    const output = await sequence.controlledEvaluate(input);
    return output.at(-1).next.token;
  };
  const all = (given) => Promise.all(sequences.map((sequence, i) => next(sequence, given[i])));
  const first = await all(prompts);
  const tokens = first.map(() => []);
  const ends = [];
  const start = now();
  let last = first;
  for (let step = 0; step < steps; step++) {
    last = await all(last.map((id) => [id]));
    last.forEach((id, i) => {
      tokens[i].push(id);
    });
    ends.push(now());
  }
  return { start, ends, first, tokens };
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

async function save({ file }) {
  const [sequence] = state.sequences;
  need(sequence, "open a context first");
  const start = now();
  const { fileSize } = await sequence.saveStateToFile(file);
  return { seconds: (now() - start) / 1000, bytes: fileSize };
}

async function restore({ file }) {
  const [sequence] = state.sequences;
  need(sequence, "open a context first");
  await sequence.clearHistory();
  const start = now();
  await sequence.loadStateFromFile(file, { acceptRisk: true });
  return { seconds: (now() - start) / 1000, tokens: sequence.nextTokenIndex };
}

async function close() {
  await state.context?.dispose();
  await state.model?.dispose();
  await state.llama?.dispose();
  return {};
}

const PULLS = {
  free: evaluated(pullFree),
  lockstep: evaluated(pullLockstep),
  controlled: pullControlled,
};

await serve({ load, open, tokenize, decode, prefill, save, restore, close });
