/**
 * Law 2 against the kernel's own scheduling: whatever is preempted, cancelled,
 * moved, dropped or lost, a burst's tokens are those that the rules of determinism
 * give it, worked out here without any of the kernel's code.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { memoryJournal } from "../../kernel/journal/journal.js";
import { Placer } from "../../kernel/mm/place.js";
import type { Burst, BurstEnd, BurstSpec } from "../../kernel/sched/burst.js";
import { Loop } from "../../kernel/sched/loop.js";
import type { Policy } from "../../kernel/sched/policy.js";
import { priority } from "../../kernel/sched/priority.js";
import { roundRobin } from "../../kernel/sched/rr.js";
import { Scheduler } from "../../kernel/sched/scheduler.js";
import type { SamplingParams } from "../../servers/llm/sampling/params.js";
import { Sampler } from "../../servers/llm/sampling/sampler.js";
import { EOS, HashModel, InProcessDriver, VOCAB } from "../support/in-process-driver.js";

const WINDOW = 192;
/** What the clock moves when it is looked at, and how often that may be before all is done. */
const TICK = 100;
const LONGEST = 50_000;
const RUNS = Number(process.env.CONTIX_SIM_RUNS ?? 60);
/** Without it a failure comes sooner and its example is larger. */
const SHRINK = process.env.CONTIX_SIM_SHRINK !== "0";
/** A schedule that hangs is a failure: far beyond what so many take. */
const LIMIT_MS = 60_000 + RUNS * 500;

interface Turn {
  readonly given: readonly number[];
  readonly maxTokens: number;
  readonly seed: bigint;
  readonly temperature: number;
}
interface Conversation {
  readonly turns: readonly Turn[];
  readonly nice: number;
}
type Disturbance = { readonly after: number; readonly kind: "crash" | "cancel" | "pause" };

function samplingOf({ temperature, seed }: Turn): SamplingParams {
  return {
    temperature,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1.1,
    presencePenalty: 0.2,
    seed,
  };
}

/** A machine of the kernel's parts around one driver, on a clock that counts outcomes. */
class Machine implements AsyncDisposable {
  readonly journal = memoryJournal();
  readonly driver: InProcessDriver;
  readonly sched: Scheduler;
  readonly placer: Placer;
  readonly loop: Loop;
  /** Rejects when the executor refuses a plan or the loop breaks: nothing would end after that. */
  readonly failed: Promise<never>;
  now = 0;
  #cids = 0n;

  constructor(slots: number, policy: Policy, quantum: number) {
    let fail = (_error: unknown): void => {};
    this.failed = new Promise((_, reject) => {
      fail = reject;
    });
    this.failed.catch(() => {});
    this.driver = new InProcessDriver(() => new HashModel(slots, WINDOW), fail);
    this.sched = new Scheduler({ policy, slots, quantum, reviewUs: 1000 });
    this.placer = new Placer(this.journal.state, { slotCount: slots, chunkTokens: 16 });
    const clock = { now: () => this.#tick(), wall: () => 0, after: () => () => {} };
    this.loop = new Loop(this.sched, this.placer, this.driver, this.journal, clock);
    this.loop.start(fail);
  }

  #tick(): number {
    this.now += TICK;
    if (this.now > LONGEST * TICK) throw new Error("a schedule without end");
    return this.now;
  }

  openContext(): bigint {
    const cid = ++this.#cids;
    const belongs = { model: "hash", engine: "hash" };
    this.journal.append({ type: "ctx.created", cid, owner: 1n, handle: 0, ...belongs });
    return cid;
  }

  /** Runs one turn to its end; `onBurst` gets the burst, to disturb it. */
  turn(cid: bigint, turn: Turn, nice: number, onBurst: (burst: Burst) => void): Promise<BurstEnd> {
    this.journal.append({ type: "ctx.given", cid, tokens: turn.given, tail: "text" });
    const context = this.journal.state.contexts.get(cid);
    const genStart = context?.tokens.length ?? 0;
    const spec: BurstSpec = {
      pid: 1n,
      cid,
      genStart,
      maxTokens: Math.min(turn.maxTokens, WINDOW - genStart),
      sampling: samplingOf(turn),
      stop: [],
      ignoreEos: false,
    };
    const over = new Promise<BurstEnd>((resolve) => {
      const progress = (): void => this.invariants();
      const burst = this.sched.enqueue(spec, { progress, end: resolve }, nice, this.now, this.now);
      onBurst(burst);
    });
    return Promise.race([over, this.failed]);
  }

  /** Takes a burst out, as a cancelled call does. */
  cancel(burst: Burst): void {
    this.placer.release(burst);
    this.sched.remove(burst, this.now);
  }

  invariants(): void {
    const owners = this.placer.table.slots.flatMap((slot) =>
      slot.cid === undefined ? [] : [slot.cid],
    );
    expect(new Set(owners).size).toBe(owners.length);
    for (const slot of this.placer.table.slots) {
      if (slot.binding !== 0n) expect(slot.cid).toBeDefined();
      const context =
        slot.cid === undefined ? undefined : this.journal.state.contexts.get(slot.cid);
      if (slot.cid !== undefined)
        expect(slot.resident).toBeLessThanOrEqual(context?.tokens.length ?? 0);
    }
  }

  tokens(cid: bigint): readonly number[] {
    return [...(this.journal.state.contexts.get(cid)?.tokens ?? [])];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.loop.stop();
    this.driver.stop();
  }
}

/**
 * The tokens of a conversation by the rules: a given run of two or more enters by
 * prefill, in one piece; a run of one and everything generated by decode.
 */
async function byTheRules({ turns }: Conversation): Promise<readonly number[]> {
  const model = new HashModel(1, WINDOW);
  const tokens: number[] = [];
  const enter = async (run: readonly number[]): Promise<Float32Array> => {
    const position = tokens.length;
    tokens.push(...run);
    const [token = 0] = run;
    const logits =
      run.length > 1
        ? await model.prefill(0, position, run, true)
        : (await model.decode([{ slot: 0, position, token, wantLogits: true }]))[0];
    if (logits === undefined) throw new Error("no logits");
    return logits;
  };
  for (const turn of turns) {
    let logits = await enter(turn.given);
    const sampler = new Sampler(samplingOf(turn), tokens.length);
    for (let n = 0, token = -1; n < turn.maxTokens && token !== EOS; n++) {
      if (tokens.length === WINDOW) break;
      token = sampler.sample(logits, tokens.length, tokens);
      logits = await enter([token]);
    }
  }
  return tokens;
}

async function together(
  conversations: readonly Conversation[],
  slots: number,
  policy: Policy,
  quantum: number,
  disturbances: readonly Disturbance[],
): Promise<(readonly number[])[]> {
  await using machine = new Machine(slots, policy, quantum);
  const alive = new Set<Burst>();
  using _ = disturb(machine, alive, disturbances);
  const results = conversations.map(async ({ turns, nice }) => {
    const cid = machine.openContext();
    for (const turn of turns) {
      let mine: Burst | undefined;
      await machine.turn(cid, turn, nice, (burst) => {
        mine = burst;
        alive.add(burst);
      });
      if (mine) alive.delete(mine);
    }
    return machine.tokens(cid);
  });
  const all = await Promise.all(results);
  machine.invariants();
  return all;
}

/** Crashes, noise that is cancelled, and pauses, at points counted in loop steps; until disposed of. */
function disturb(
  machine: Machine,
  alive: Set<Burst>,
  disturbances: readonly Disturbance[],
): Disposable {
  let stopped = false;
  const todo = [...disturbances].sort((a, b) => a.after - b.after);
  const noise: Burst[] = [];
  void (async () => {
    while (!stopped) {
      await new Promise((resolve) => setImmediate(resolve));
      for (const burst of noise.splice(0)) machine.cancel(burst);
      for (const burst of alive)
        if (burst.state === "paused") machine.sched.resume(burst, machine.now);
      const next = todo[0];
      if (!next || machine.loop.counters.steps < next.after) continue;
      todo.shift();
      if (next.kind === "crash") machine.driver.crash();
      const [first] = alive;
      if (next.kind === "pause" && first) machine.sched.pause(first, machine.now);
      if (next.kind === "cancel") {
        const cid = machine.openContext();
        const turn = { given: [1, 2, 3, 4], maxTokens: 50, seed: 1n, temperature: 1 };
        machine.turn(cid, turn, -20, (burst) => noise.push(burst)).catch(() => {});
      }
    }
  })();
  return {
    [Symbol.dispose]: () => {
      stopped = true;
    },
  };
}

const token = fc.integer({ min: 0, max: VOCAB - 2 });
const turn = fc.record({
  given: fc.array(token, { minLength: 1, maxLength: 40 }),
  maxTokens: fc.integer({ min: 1, max: 24 }),
  seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  temperature: fc.constantFrom(0, 0.8, 1.5),
});
const conversation = fc.record({
  turns: fc.array(turn, { minLength: 1, maxLength: 3 }),
  nice: fc.integer({ min: -20, max: 19 }),
});
const disturbance = fc.record({
  after: fc.nat(120),
  kind: fc.constantFrom("crash" as const, "cancel" as const, "pause" as const),
});

describe("a schedule never changes an answer", () => {
  it(
    `in ${RUNS} random schedules with preemption, cancels, pauses and lost drivers`,
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(conversation, { minLength: 1, maxLength: 8 }),
          fc.integer({ min: 1, max: 4 }),
          fc.integer({ min: 1, max: 12 }),
          fc.boolean(),
          fc.array(disturbance, { maxLength: 8 }),
          async (conversations, slots, quantum, byPriority, disturbances) => {
            const policy = byPriority ? priority(quantum, 5000) : roundRobin(quantum);
            const expected = await Promise.all(conversations.map(byTheRules));
            const got = await together(conversations, slots, policy, quantum, disturbances);
            expect(got).toEqual(expected);
          },
        ),
        {
          numRuns: RUNS,
          interruptAfterTimeLimit: LIMIT_MS,
          markInterruptAsFailure: true,
          endOnFailure: !SHRINK,
        },
      );
    },
    LIMIT_MS + 30_000,
  );
});
