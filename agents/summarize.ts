/**
 * Summarizes a text file of any length: cuts it into chunks that the model's
 * window holds, summarizes several at once, and then summarizes the summaries,
 * until one is left. Progress goes to stderr, the summary to stdout.
 *
 *   contix run agents/summarize.ts FILE
 */
import { readFile } from "node:fs/promises";
import { connect, type Message } from "contix";

/** Chunks that are summarized at the same time. */
const IN_FLIGHT = 4;

/** Worded as small models were taught it; larger ones understand it as well. */
const INSTRUCTION =
  "Provide a concise, objective summary of the input text in up to three sentences, focusing on key actions and intentions.";

const [file] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: summarize FILE");
  process.exit(2);
}
const text = (await readFile(file, "utf8").catch(fail)).trim();
if (text === "") fail(new Error(`${file} is empty`));

await using os = await connect();
const { window } = await os.llm.model();
const room = window - (await os.llm.tokenize(INSTRUCTION)).length;
/** Tokens of one chunk and of its summary: at each level at most half of the text is left. */
const chunkTokens = Math.min(500, Math.floor(room / 2));
const summaryTokens = Math.min(90, Math.floor(chunkTokens / 4));

console.log(await summarize(text));

function fail({ message }: Error): never {
  console.error(`summarize: ${message}`);
  process.exit(1);
}

async function summarize(whole: string): Promise<string> {
  const chunks = await cut(whole);
  let done = 0;
  const summaries = await inFlight(chunks, async (chunk) => {
    const summary = await summarizeChunk(chunk);
    done += 1;
    console.error(`summarize: ${done} of ${chunks.length} chunks of ${file}`);
    return summary;
  });
  const together = summaries.join("\n\n");
  // A model that rambles may write more than it read: then this is as short as it gets.
  const shorter = together.length < whole.length;
  return summaries.length > 1 && shorter ? summarize(together) : together;
}

async function summarizeChunk(chunk: string): Promise<string> {
  const messages: Message[] = [
    { role: "system", content: INSTRUCTION },
    { role: "user", content: chunk },
  ];
  const { text, finish } = await os.llm.chat(messages, {
    maxTokens: summaryTokens,
    temperature: 0,
    presencePenalty: 0.5,
    retries: 10,
  });
  // Where the limit of tokens cut a sentence off, the sentence is left out.
  const whole = finish === "length" ? text.replace(/(?<=[.!?])[^.!?]*$/, "") : text;
  return whole.trim();
}

/** Halves the text until every piece is a chunk. */
async function cut(whole: string): Promise<string[]> {
  const small = whole.length < 20 * chunkTokens;
  if (small && (await os.llm.tokenize(whole)).length <= chunkTokens) return [whole];
  const middle = findGap(whole);
  const [first, second] = [whole.slice(0, middle), whole.slice(middle)];
  return [...(await cut(first)), ...(await cut(second))];
}

/** Where to cut near the middle: between paragraphs, else sentences, else words, else letters. */
function findGap(whole: string): number {
  const middle = Math.floor(whole.length / 2);
  const late = Math.floor(whole.length * 0.75);
  for (const gap of ["\n\n", ". ", "\n", " "]) {
    const at = whole.indexOf(gap, middle);
    if (at >= 0 && at < late) return at + gap.length;
  }
  const insideLetter = /[\udc00-\udfff]/.test(whole.charAt(middle));
  return insideLetter ? middle + 1 : middle;
}

/** Does `work` on every item, some at a time; the results are in the items' order. */
async function inFlight<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [i, item] of queue) results[i] = await work(item);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return results;
}
