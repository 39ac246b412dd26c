/**
 * What a page hit saves: the time to the first token of a context whose tokens another agent
 * computed before, against the time when nobody did. Each round takes tokens that no round
 * before it had; the agents are two processes of one principal.
 */
import { connect, type Os } from "../../syscalls/index.js";
import type { Daemon } from "../harness/daemon.js";
import { type Figure, figure } from "../harness/report.js";
import { pairedRatio } from "../harness/stats.js";
import { say } from "./suite.js";

/** One first token: how long it took, which it was, and how many tokens were found. */
interface First {
  readonly ms: number;
  readonly token: number;
  readonly cached: number;
}

/**
 * @param prompts one a round, and one more that warms up
 * @throws Error when a hit gives another token: then no time counts
 */
export async function prefixHits(daemon: Daemon, prompts: readonly number[][]): Promise<Figure[]> {
  await using first = await connect({ home: daemon.home, name: "first" });
  await using second = await connect({ home: daemon.home, name: "second" });
  const computed: First[] = [];
  const found: First[] = [];
  for (const [round, prompt] of prompts.entries()) {
    const cold = await firstToken(first, prompt);
    const hit = await firstToken(second, prompt);
    if (hit.token !== cold.token) throw new Error(`${hit.token} after a hit, not ${cold.token}`);
    if (round === 0) continue;
    computed.push(cold);
    found.push(hit);
    say(`round ${round}: computed in ${cold.ms.toFixed(0)} ms, found in ${hit.ms.toFixed(1)} ms`);
  }
  const times = (firsts: readonly First[]): number[] => firsts.map(({ ms }) => ms);
  return [
    figure("prefix.ratio", "of computing", pairedRatio(times(found), times(computed))),
    figure("prefix.computed", "ms", times(computed)),
    figure("prefix.found", "ms", times(found)),
    figure(
      "prefix.cached",
      "tokens",
      found.map(({ cached }) => cached),
    ),
  ];
}

async function firstToken(os: Os, prompt: readonly number[]): Promise<First> {
  await using context = await os.ctx.create();
  await context.append({ tokens: prompt });
  const { tokens, usage } = await context.generate({ maxTokens: 1, temperature: 0 });
  const [token = -1] = tokens;
  return { ms: usage.firstTokenMs, token, cached: usage.cachedTokens };
}
