/**
 * A customer desk over a folder of FAQ texts (first line: the question, then the
 * answer). Each customer has a context of their own, so the desk remembers what
 * was said; customers are answered side by side.
 *
 *   contix run -i agents/support.ts FOLDER          questions from stdin
 *   contix run agents/support.ts FOLDER FILE        from a file
 *   contix run agents/support.ts FOLDER --mailbox   messages of other processes
 *
 * A line is "anna: How long does delivery take?", or just the question.
 */
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Context, connect, SyscallError } from "contix";

/** Customers that the desk remembers; the one who was silent longest is forgotten. */
const CUSTOMERS = 16;
/** FAQ entries that go with a question. */
const ENTRIES = 2;

const INSTRUCTION =
  "You answer customers of a lamp shop. Use only the facts you are given. Answer in one or two sentences.";

interface Entry {
  /** The entry's own question. */
  readonly title: string;
  readonly text: string;
  readonly tokens: number;
  readonly words: ReadonlySet<string>;
}

interface Question {
  readonly customer: string;
  readonly text: string;
  reply(answer: string): Promise<void> | void;
}

interface Customer {
  ctx: Context;
  /** The end of what is being said to them. */
  turn: Promise<void>;
}

const [folder, source] = process.argv.slice(2);
if (folder === undefined) {
  console.error("usage: support FOLDER [FILE | --mailbox]");
  process.exit(2);
}

await using os = await connect();
const { window } = await os.llm.model();
const entries = await readEntries(folder);
const customers = new Map<string, Customer>();
for await (const question of source === "--mailbox" ? fromMailbox() : fromLines(source)) {
  const customer = await find(question.customer);
  customer.turn = customer.turn.then(() => serve(customer, question));
}
await Promise.all([...customers.values()].map(({ turn }) => turn));

async function* fromLines(file: string | undefined): AsyncGenerator<Question> {
  const input = file === undefined ? process.stdin : createReadStream(file);
  let heard = false;
  for await (const line of createInterface({ input })) {
    heard = true;
    const { customer = "guest", text = line } =
      /^(?<customer>\w+):(?<text>.*)/.exec(line)?.groups ?? {};
    if (text.trim() === "") continue;
    const reply = (answer: string): void => console.log(`${customer}: ${text.trim()}\n  ${answer}`);
    yield { customer, text: text.trim(), reply };
  }
  // Without -i an agent has nothing on its stdin.
  if (!heard) console.error("support: no questions; give a FILE, or start it with `contix run -i`");
}

async function* fromMailbox(): AsyncGenerator<Question> {
  for (;;) {
    const { from, text } = await os.ipc.recv();
    yield { customer: from, text, reply: (answer) => os.ipc.send(from, answer) };
  }
}

/** The customer of that name, with a new context if they are new. */
async function find(name: string): Promise<Customer> {
  const customer = customers.get(name) ?? { ctx: await begin(), turn: Promise.resolve() };
  customers.delete(name);
  customers.set(name, customer);
  const [oldest] = customers;
  if (customers.size > CUSTOMERS && oldest !== undefined) {
    customers.delete(oldest[0]);
    await oldest[1].turn;
    await oldest[1].ctx.close();
  }
  return customer;
}

async function begin(): Promise<Context> {
  const ctx = await os.ctx.create();
  await ctx.append({ role: "system", content: INSTRUCTION });
  return ctx;
}

/** Answers and replies; what goes wrong is said and ends nothing but this answer. */
async function serve(customer: Customer, question: Question): Promise<void> {
  const found = relevant(question.text);
  // The best stands last, next to the question.
  const facts = found
    .map(({ text }) => `${text}\n\n`)
    .reverse()
    .join("");
  try {
    const answer = await chat(customer, `${facts}Customer: ${question.text}`);
    const source = found[0] === undefined ? "" : ` [FAQ: ${found[0].title}]`;
    await question.reply(`${answer}${source}`);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    console.error(`support: no answer for ${question.customer}: ${error.message}`);
    await question.reply("Sorry, we can not answer that.");
  }
}

async function chat(customer: Customer, prompt: string): Promise<string> {
  // Small models like to go on with a question of their own.
  const stop = ["\n\n", "Customer:"];
  const options = { maxTokens: 80, temperature: 0, presencePenalty: 0.5, stop, retries: 10 };
  try {
    return (await customer.ctx.chat(prompt, options)).text.trim();
  } catch (error) {
    if (!(error instanceof SyscallError && error.code === "ENOMEM")) throw error;
    // The window is full: the conversation goes on in a new context.
    await customer.ctx.close();
    customer.ctx = await begin();
    return (await customer.ctx.chat(prompt, options)).text.trim();
  }
}

/** The entries that share most with the question; a word counts more the fewer entries have it. */
function relevant(question: string): Entry[] {
  const scored = entries.map((entry) => {
    let score = 0;
    for (const word of toWords(question)) {
      if (!entry.words.has(word)) continue;
      score += 1 / entries.filter(({ words }) => words.has(word)).length;
    }
    return { entry, score };
  });
  const found = scored.filter(({ score }) => score > 0).sort((a, b) => b.score - a.score);
  const least = (found[0]?.score ?? 0) / 2;
  let room = window / 2;
  return found.slice(0, ENTRIES).flatMap(({ entry, score }) => {
    room -= entry.tokens;
    return score < least || room < 0 ? [] : [entry];
  });
}

async function readEntries(path: string): Promise<Entry[]> {
  const names = (await readdir(path).catch(fail)).filter((name) => /\.(txt|md)$/.test(name)).sort();
  const read = async (name: string): Promise<Entry> => {
    const text = (await readFile(join(path, name), "utf8")).trim();
    const [title = ""] = text.split("\n");
    const tokens = (await os.llm.tokenize(text)).length;
    return { title, text, tokens, words: toWords(text) };
  };
  return Promise.all(names.map(read));
}

function fail({ message }: Error): never {
  console.error(`support: ${message}`);
  process.exit(1);
}

/** The words of a text, without their commonest endings. */
function toWords(text: string): Set<string> {
  const words = text.toLowerCase().match(/\p{L}{3,}/gu) ?? [];
  return new Set(words.map((word) => word.replace(/(ing|ed|es|s)$/, "")));
}
