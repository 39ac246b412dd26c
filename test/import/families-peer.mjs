#!/usr/bin/env node
/**
 * llama.cpp through node-llama-cpp, as the judge of logits: a process of its own, because
 * a model that it does not like may abort it. Reads one JSON request a line, answers each
 * with one line.
 *
 *   {"gguf":"/path","prompt":[ids],"greedy":32}
 *     → {"tokens":[ids],"logits":[base64 of float32 [vocab], for each position]}
 *
 * Positions are those of the prompt and of all greedy tokens but the last. Keys and values
 * are kept in fp32 and attention is the plain one, so that only the order of sums differs.
 * The first argument is the address of the package.
 */
import { createInterface } from "node:readline";

const { getLlama, LlamaLogLevel } = await import(process.argv[2]);

const llama = await getLlama({
  gpu: false,
  build: "never",
  skipDownload: true,
  usePrebuiltBinaries: true,
  progressLogs: false,
  maxThreads: 1,
  logLevel: LlamaLogLevel.error,
  logger: (level, message) => process.stderr.write(`${level}: ${message}\n`),
});

async function answer({ gguf, prompt, greedy }) {
  const model = await llama.loadModel({ modelPath: gguf });
  const context = await model.createContext({
    contextSize: 256,
    batchSize: 256,
    flashAttention: false,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
  });
  const sequence = context.getSequence();
  const options = { generateNext: { logits: true } };
  const enter = async (tokens) => {
    const results = await sequence.controlledEvaluate(tokens.map((token) => [token, options]));
    return results.map((result) => row(result.next.logits));
  };
  const rows = await enter(prompt);
  const tokens = [best(rows.at(-1))];
  while (tokens.length < greedy) {
    rows.push(...(await enter(tokens.slice(-1))));
    tokens.push(best(rows.at(-1)));
  }
  await model.dispose();
  return { tokens, logits: rows.map((values) => Buffer.from(values.buffer).toString("base64")) };
}

/** The map of logits by token as a row. */
function row(logits) {
  const values = new Float32Array(logits.size);
  for (const [token, value] of logits) values[token] = value;
  return values;
}

function best(values) {
  return values.reduce((top, value, i) => (value > values[top] ? i : top), 0);
}

for await (const line of createInterface({ input: process.stdin })) {
  const result = await answer(JSON.parse(line)).catch((error) => ({ error: String(error) }));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
process.exit(0);
