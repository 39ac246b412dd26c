/**
 * Many agents, few slots, prefixes in common: what sharing and paging save in all.
 *
 * `agents` in groups, each group with a prefix of its own; each agent takes turns: tokens are
 * given, tokens are generated. Its context lives on between its turns, and has to leave its slot
 * for others. Three figures a round:
 *
 *   apart    every agent has another prefix of the same length: contexts are kept, nothing is
 *            shared. The baseline.
 *   shared   a group's agents have the same prefix.
 *   bound    by computation: `apart` without the prefixes that perfect sharing computes once,
 *            and without what `apart` computed twice; in time, `apart` less the saved tokens at
 *            the speed at which this machine prefills, measured in the same round.
 *
 * The gain is the baseline less the figure; it is held against the bound's gain.
 */
import { connect, type Os } from "../../syscalls/index.js";
import { startDaemon } from "../harness/daemon.js";
import { type Figure, figure } from "../harness/report.js";
import { say } from "./suite.js";

export interface SharingOptions {
  readonly agents: number;
  readonly groups: number;
  readonly slots: number;
  readonly prefix: number;
  readonly turns: number;
  readonly given: number;
  readonly generated: number;
  readonly rounds: number;
}

/** What one run of all agents cost. */
interface Run {
  readonly seconds: number;
  /** Tokens that entered the model, by prefill and by decode, rebuilt ones too. */
  readonly computed: number;
  readonly recomputed: number;
}

interface Round {
  readonly apart: Run;
  readonly shared: Run;
  /** Seconds that a prefilled token takes when nothing else runs. */
  readonly tokenSeconds: number;
}

/** @param text tokens to cut prefixes and turns from @param flags of the daemon */
export async function sharing(
  text: readonly number[],
  options: SharingOptions,
  flags: readonly string[],
): Promise<Figure[]> {
  const rounds: Round[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const apart = await daemonRun(text, options, flags, options.agents);
    const shared = await daemonRun(text, options, flags, options.groups);
    rounds.push({ apart: apart.run, shared: shared.run, tokenSeconds: apart.tokenSeconds });
    say(
      `round ${round + 1}: apart ${apart.run.computed} tokens in ${apart.run.seconds.toFixed(1)} s, ` +
        `shared ${shared.run.computed} in ${shared.run.seconds.toFixed(1)} s`,
    );
  }
  return figuresOf(rounds, options);
}

function figuresOf(rounds: readonly Round[], options: SharingOptions): Figure[] {
  const { agents, groups, prefix, turns, given, generated } = options;
  const bound = groups * prefix + agents * turns * (given + generated);
  const column = (of: (round: Round) => number): number[] => rounds.map(of);
  const boundSeconds = ({ apart, tokenSeconds }: Round): number =>
    apart.seconds - (apart.computed - bound) * tokenSeconds;
  const share = (baseline: number, reached: number, best: number): number =>
    (baseline - reached) / (baseline - best);
  return [
    figure(
      "sharing.tokens.gain",
      "of the bound's",
      column(({ apart, shared }) => share(apart.computed, shared.computed, bound)),
    ),
    figure(
      "sharing.time.gain",
      "of the bound's",
      column((round) => share(round.apart.seconds, round.shared.seconds, boundSeconds(round))),
    ),
    figure(
      "sharing.tokens.apart",
      "tokens",
      column(({ apart }) => apart.computed),
    ),
    figure(
      "sharing.tokens.shared",
      "tokens",
      column(({ shared }) => shared.computed),
    ),
    figure(
      "sharing.tokens.bound",
      "tokens",
      column(() => bound),
    ),
    figure(
      "sharing.tokens.rebuilt",
      "tokens",
      column(({ shared }) => shared.recomputed),
    ),
    figure(
      "sharing.time.apart",
      "s",
      column(({ apart }) => apart.seconds),
    ),
    figure(
      "sharing.time.shared",
      "s",
      column(({ shared }) => shared.seconds),
    ),
    figure("sharing.time.bound", "s", column(boundSeconds)),
  ];
}

/** All agents once, on a daemon of their own, with `prefixes` different prefixes. */
async function daemonRun(
  text: readonly number[],
  options: SharingOptions,
  flags: readonly string[],
  prefixes: number,
): Promise<{ run: Run; tokenSeconds: number }> {
  // Room for all contexts: what is measured is sharing, not which pages go first.
  const room = { CONTIX_PAGE_MEMORY: "5GiB" };
  await using daemon = await startDaemon([...flags, "--slots", String(options.slots)], room);
  await using os = await connect({ home: daemon.home, name: "bench" });
  const tokenSeconds = await prefillSpeed(os, text, options.prefix);
  const before = await os.sys.stats();
  const start = performance.now();
  const work = Array.from({ length: options.agents }, (_, agent) =>
    agentRun(daemon.home, text, options, agent, agent % prefixes),
  );
  await Promise.all(work);
  const seconds = (performance.now() - start) / 1000;
  const after = await os.sys.stats();
  const computed =
    after.tokensPrefilled - before.tokensPrefilled + (after.tokensDecoded - before.tokensDecoded);
  const recomputed = after.tokensRecomputed - before.tokensRecomputed;
  return { run: { seconds, computed, recomputed }, tokenSeconds };
}

/** One agent's life: a process of the kernel with a context of its own. */
async function agentRun(
  home: string,
  text: readonly number[],
  { prefix, turns, given, generated }: SharingOptions,
  agent: number,
  group: number,
): Promise<void> {
  await using os = await connect({ home, name: `agent-${agent + 1}`, timeoutMs: 60_000 });
  await using context = await os.ctx.create();
  await context.append({ tokens: cut(text, group * prefix, prefix) });
  for (let turn = 0; turn < turns; turn++) {
    const from = 100_000 + (agent * turns + turn) * given;
    const input = { tokens: cut(text, from, given) };
    await context.append(input);
    await context.generate({ maxTokens: generated, temperature: 0, ignoreEos: true });
  }
}

/** Seconds a token of a prefill that has the model for itself. */
async function prefillSpeed(os: Os, text: readonly number[], length: number): Promise<number> {
  const tokens = cut(text, 50_000, length);
  const { usage } = await os.llm.generate({ tokens }, { maxTokens: 1, temperature: 0 });
  return usage.firstTokenMs / 1000 / length;
}

/** `length` tokens from `from` on; the text begins again where it ends. */
function cut(text: readonly number[], from: number, length: number): number[] {
  return Array.from({ length }, (_, i) => text[(from + i) % text.length] ?? 0);
}
