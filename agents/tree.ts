/**
 * Tree search: forks a context many ways, lets each go on for a line, keeps the one
 * whose own verdict is best, and forks that again. A fork costs no computation: all
 * branches share the pages of what they have in common.
 *
 *   contix run agents/tree.ts [TASK]
 */
import { type Context, connect } from "contix";

const WAYS = 8;
const DEPTH = 3;
const task = process.argv.slice(2).join(" ") || "Write a short story about a lighthouse keeper.";

interface Branch {
  readonly ctx: Context;
  readonly text: string;
  readonly score: number;
}

await using os = await connect();
let best: Context = await os.ctx.create();
await best.append({ role: "user", content: `${task} Write one sentence at a time.` });

for (let depth = 1; depth <= DEPTH; depth++) {
  const branches = await Promise.all(Array.from({ length: WAYS }, () => grow(best)));
  branches.sort((a, b) => b.score - a.score);
  const [winner, ...others] = branches;
  if (!winner) break;
  console.log(`${depth}. (${winner.score}/9, of ${WAYS}) ${winner.text}`);
  // The rest of the tree is of no use any more.
  await Promise.all([best, ...others.map(({ ctx }) => ctx)].map((ctx) => ctx.close()));
  best = winner.ctx;
  await best.append({ role: "user", content: "Go on with the next sentence." });
}

/** One way to go on, and what it is worth. */
async function grow(from: Context): Promise<Branch> {
  const ctx = await from.fork();
  const { text } = await ctx.generate({ maxTokens: 40, temperature: 1, stop: "\n" });
  return { ctx, text: text.trim(), score: await judge(ctx) };
}

/** Asks the model about the branch, on a fork, so that the branch does not hear of it. */
async function judge(branch: Context): Promise<number> {
  await using fork = await branch.fork();
  const ask = "How good is that, from 0 to 9? Answer with one digit.";
  const { text } = await fork.chat(ask, { maxTokens: 4, temperature: 0 });
  return Number(/\d/.exec(text)?.[0] ?? 0);
}
