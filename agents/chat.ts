/**
 * A chat in the terminal, over one context that lives on. Ctrl-C stops the
 * answer, twice ends the chat; /stats shows where the context stands. When it outgrows
 * the window, its oldest turns are moved out; /recall WORDS brings one back.
 *
 *   contix run -i agents/chat.ts [MODEL] [--overflow oldest|relevance|none] [--summaries]
 */
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { type ContextEdit, connect, type OverflowOptions, SyscallError, type Usage } from "contix";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { overflow: { type: "string" }, summaries: { type: "boolean" } },
});
const [model] = positionals;
const { overflow, summaries } = values as OverflowOptions;

await using os = await connect();
const ctx = await os.ctx.create({ model, overflow, summaries });
await ctx.append({ role: "system", content: "You are a friendly assistant. Be brief." });
let answering: AbortController | undefined;
let leaving = false;
let heard = false;
let reading = false;
let usage: Usage | undefined;

const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: "> " });
terminal.on("SIGINT", interrupt);
os.on("INT", interrupt);

console.log(
  "Type a message. Ctrl-C stops an answer, twice ends the chat; /stats; /recall WORDS; Ctrl-D ends too.",
);
terminal.prompt();
for await (const line of terminal) {
  leaving = false;
  heard = true;
  if (line.trim() === "/stats") await showStats();
  else if (line.startsWith("/recall ")) await recall(line.slice("/recall ".length));
  else if (line.trim() !== "") await answer(line);
  terminal.prompt();
}
console.log();
// Without -i an agent has nothing on its stdin.
if (!heard) console.error("chat: nothing came on stdin; `contix run` gives a terminal with -i");

async function answer(message: string): Promise<void> {
  answering = new AbortController();
  // A quarter of the window an answer: some turns stay beside it.
  const maxTokens = Math.floor(ctx.window / 4);
  const { signal } = answering;
  const sampling = { maxTokens, temperature: 0.3, topP: 0.9 };
  const generation = ctx.chat(message, { ...sampling, signal, onPrefill: showReading });
  try {
    for await (const text of generation) {
      showReading();
      process.stdout.write(text);
    }
    console.log();
    const { edit, usage: cost } = await generation;
    usage = cost;
    tellOf(edit);
  } catch (error) {
    if (signal.aborted) console.log(" (stopped)");
    else if (error instanceof SyscallError) console.log(error.message);
    else throw error;
  } finally {
    answering = undefined;
  }
}

/** Brings back the turn that fits the words best, as the context's last. */
async function recall(words: string): Promise<void> {
  try {
    const { text, edit } = await ctx.recall(words);
    console.log(text.trim());
    tellOf(edit);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    console.log(error.message);
  }
}

function tellOf(edit: ContextEdit | undefined): void {
  if (edit === undefined) return;
  const { movedOut, tokens } = edit;
  console.log(
    `(${movedOut.length} turns, ${tokens} tokens, were moved out; /recall WORDS finds them)`,
  );
}

/** How far the reading of a long message is, on a line of its own until the answer begins. */
function showReading(tokens = 0, of = 0): void {
  if (!process.stdout.isTTY || (of === 0 && !reading)) return;
  reading = of > 0;
  process.stdout.write(reading ? `\r(reading: ${tokens} of ${of} tokens)` : "\r\u001b[K");
}

function interrupt(): void {
  if (leaving) {
    terminal.close();
  } else if (answering === undefined) {
    console.log("(Ctrl-C again to leave)");
    terminal.prompt();
  }
  answering?.abort();
  leaving = true;
}

async function showStats(): Promise<void> {
  const { cid, length, generated, window } = await ctx.stat();
  console.log(`context ${cid}: ${length} of ${window} tokens, ${generated} of them generated`);
  if (usage === undefined) return;
  const { generatedTokens, servedMs, queuedMs, firstTokenMs } = usage;
  const speed = ((generatedTokens / servedMs) * 1000).toFixed(1);
  console.log(
    `last answer: ${generatedTokens} tokens, ${speed} tokens/s, first after ${Math.round(firstTokenMs)} ms, waited ${Math.round(queuedMs)} ms`,
  );
}
