/**
 * A summary of segments that leave, for contexts whose creator asked for summaries: the
 * model reads them on a context of their own and is asked to sum up, at the lowest
 * priority and greedily, so the same segments give the same summary (law 2). Whether
 * there are summaries is the context's configuration, never a matter of load; a summary
 * that can not be made fails the call that needed room. Its tokens are the caller's, as
 * those of a generation are.
 */
import type { Call } from "../../call.js";
import type { Engine } from "../../engines/engine.js";
import type { Kernel } from "../../kernel.js";
import type { BurstEnd, BurstSpec, SamplingSpec } from "../../sched/burst.js";
import { nextCid } from "../calls.js";

/** The longest summary. */
const TOKENS = 48;
/**
 * Below everyone else, whatever its caller is: a class is heeded under every policy, and of
 * its class it is the nicest. One that waits has its turn in the end (run-queue.ts).
 */
const CLASS = "batch";
const NICE = 19;

const GREEDY: SamplingSpec = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  seed: 0n,
};

/** The tokens of a summary; of what is longer than the window, its beginning counts. */
export async function summarize(
  kernel: Kernel,
  call: Call,
  engine: Engine,
  tokens: readonly number[],
  turn: boolean,
): Promise<number[]> {
  const ask = await engine.driver.text({ $case: "ask", value: { turn } });
  call.check();
  const room = engine.ready.slotTokens - ask.length - TOKENS;
  if (room <= 0) return [];
  const given = [...tokens.slice(0, room), ...ask];
  const { sched, placer } = engine;
  const { journal, clock, accounts } = kernel;
  const { pid, principal, session } = call.process;
  const account = accounts.of(pid);
  const budget = kernel.rates.reserve(call.process, given.length + TOKENS);
  budget.charge(given.length);
  account.tokensIn += given.length;
  const cid = nextCid(kernel);
  const belongs = { model: engine.model, engine: engine.ready.engineDigest };
  // Its caller's, and named by no handle: it ends with the call.
  journal.append(
    { type: "ctx.created", cid, owner: pid, handle: 0, ...belongs, at: clock.now() },
    { type: "ctx.given", cid, tokens: given, tail: turn ? "assistant" : "text" },
  );
  const lock = kernel.life.lock({ cid });
  const spec: BurstSpec = {
    ...{ pid, cid, principal, program: session, class: CLASS },
    ...{ genStart: given.length, maxTokens: TOKENS },
    ...{ sampling: GREEDY, stop: [], ignoreEos: false },
  };
  const written: number[] = [];
  const end = await new Promise<BurstEnd>((resolve) => {
    const leave = (how: BurstEnd): void => {
      stopping[Symbol.dispose]();
      placer.release(burst);
      sched.remove(burst, clock.now());
      account.queuedUs += burst.queuedUs;
      account.servedUs += burst.servedUs;
      budget[Symbol.dispose]();
      lock[Symbol.dispose]();
      journal.append(kernel.life.close({ cid, model: engine.model }));
      resolve(how);
    };
    const progress = (more: readonly number[]): void => {
      budget.charge(more.length);
      account.tokensOut += more.length;
      written.push(...more);
    };
    const burst = sched.enqueue(spec, { progress, end: leave }, NICE, clock.now(), clock.now());
    // Whoever no longer waits for the room needs no summary.
    const stopping = call.onEnd((error) => leave({ kind: "failed", error }));
  });
  if (end.kind === "failed") throw end.error;
  return written;
}
