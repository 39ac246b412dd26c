/**
 * A chat in the terminal, over one context that lives on. Ctrl-C stops the
 * answer, twice ends the chat; /stats shows where the context stands.
 *
 *   contix run -i agents/chat.ts [MODEL]
 */
import { createInterface } from "node:readline";
import { type Context, connect, SyscallError, type Usage } from "contix";

const [, , model] = process.argv;

await using os = await connect();
let ctx = await begin();
let answering: AbortController | undefined;
let leaving = false;
let heard = false;
let reading = false;
let usage: Usage | undefined;

const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: "> " });
terminal.on("SIGINT", interrupt);
os.on("INT", interrupt);

console.log(
  "Type a message. Ctrl-C stops an answer, twice ends the chat; /stats; Ctrl-D ends too.",
);
terminal.prompt();
for await (const line of terminal) {
  leaving = false;
  heard = true;
  if (line.trim() === "/stats") await showStats();
  else if (line.trim() !== "") await answer(line);
  terminal.prompt();
}
console.log();
// Without -i an agent has nothing on its stdin.
if (!heard) console.error("chat: no input; start it with `contix run -i agents/chat.ts`");

async function begin(): Promise<Context> {
  const fresh = await os.ctx.create({ model });
  await fresh.append({ role: "system", content: "You are a friendly assistant. Be brief." });
  return fresh;
}

async function answer(message: string, again = false): Promise<void> {
  answering = new AbortController();
  // A quarter of the window an answer: some turns fit before it is full.
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
    usage = (await generation).usage;
  } catch (error) {
    if (signal.aborted) console.log(" (stopped)");
    else if (!(error instanceof SyscallError)) throw error;
    else if (error.code === "ENOMEM" && !again) await afresh(message);
    else console.log(error.message);
  } finally {
    answering = undefined;
  }
}

/** The window is full: goes on in a new context. */
async function afresh(message: string): Promise<void> {
  console.log("(the context is full; this is a new one)");
  await ctx.close();
  ctx = await begin();
  await answer(message, true);
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
