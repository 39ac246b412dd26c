#!/usr/bin/env node
/**
 * llama.cpp's tokenizer through node-llama-cpp: a process of its own, because a vocabulary
 * that it does not like may abort it. Reads a JSON list of requests from standard input,
 * {"gguf":"/path","texts":[...],"special":false}, and answers with the tokens of each text of each.
 * The argument is the address of the package.
 */
import { text } from "node:stream/consumers";

const { getLlama, LlamaLogLevel } = await import(process.argv[2]);
const requests = JSON.parse(await text(process.stdin));

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

const answers = [];
for (const { gguf, texts, special } of requests) {
  const model = await llama.loadModel({ modelPath: gguf, vocabOnly: true });
  answers.push(texts.map((one) => model.tokenize(one, special)));
  await model.dispose();
}
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
