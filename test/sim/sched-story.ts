/**
 * A random story for the scheduler, out of a seed: programs with calls on contexts that
 * grow, under any policy, on the kernel's own parts around the virtual engine; drivers
 * that die, calls that are cancelled, programs that are killed, readers that stop, ranks
 * and policies that change. What must hold is looked at before every plan that runs.
 */
import { random } from "../../bench/harness/random.js";
import { Dice } from "../../bench/sim/dice.js";
import { DEFAULT_COST } from "../../bench/sim/sched/cost.js";
import { Machine } from "../../bench/sim/sched/machine.js";
import { CLASSES } from "../../kernel/journal/fold-procs.js";
import type { Burst } from "../../kernel/sched/burst.js";
import { makePolicy, POLICY_NAMES } from "../../kernel/sched/policies.js";

const MISHAPS = ["crash", "cancel", "kill", "pause", "renice", "policy"] as const;
/** In this time programs come and mishaps happen, microseconds. */
const SPAN = 3_000_000;

export class Story {
  readonly machine: Machine;
  /** What ended whole, what was cancelled, who was killed. */
  readonly told = { ended: 0, cancelled: 0, killed: 0, checks: 0 };
  readonly #dice: Dice;
  readonly #slots: number;
  readonly #agents = new Set<Agent>();

  constructor(seed: number) {
    const dice = new Dice(random(seed));
    this.#dice = dice;
    this.#slots = 1 + dice.below(4);
    const frames = dice.below(3) === 0 ? 0 : 4 + dice.below(60);
    const blocks = frames > 0 && dice.below(2) === 0 ? 4 + dice.below(60) : 0;
    const place = { slots: this.#slots, frames, blocks, cost: DEFAULT_COST };
    this.machine = new Machine({ ...place, policy: this.#policy() });
    const { engine, clock } = this.machine;
    const run = engine.run.bind(engine);
    engine.run = (plan) => {
      this.#check();
      return run(plan);
    };
    for (let id = 1 + dice.below(10); id > 0; id--) {
      clock.at(dice.below(SPAN), () => this.#agents.add(new Agent(this, dice, BigInt(id))));
    }
    for (let i = dice.below(12); i > 0; i--) {
      clock.at(dice.below(2 * SPAN), () => this.#mishap(MISHAPS[dice.below(MISHAPS.length)]));
    }
  }

  /** Plays it to its end. Throws what does not hold. */
  async play(): Promise<void> {
    await this.machine.run();
    for (const agent of this.#agents) agent.close();
    this.#check();
    const { sched, placer, journal } = this.machine;
    must([...sched.all()].length === 0, "a burst is left");
    must(sched.running.length === 0, "a burst runs after the end");
    must(journal.state.contexts.size === 0, "a context is left");
    must(
      placer.table.slots.every(({ cid, binding }) => cid === undefined && binding === 0n),
      "a slot has an owner",
    );
    must(
      [...this.#agents].every((agent) => agent.over),
      "a program was forgotten",
    );
  }

  #policy() {
    const name = POLICY_NAMES[this.#dice.below(POLICY_NAMES.length)] ?? "rr";
    return makePolicy(name, { quantum: 1 + this.#dice.below(16) });
  }

  #mishap(kind: (typeof MISHAPS)[number] | undefined): void {
    const { sched, engine, clock } = this.machine;
    const agents = [...this.#agents].filter(({ over }) => !over);
    const agent = agents[this.#dice.below(Math.max(1, agents.length))];
    if (kind === "crash") engine.crash();
    else if (kind === "policy") sched.setPolicy(this.#policy(), clock.now());
    else if (kind === "renice" && agent) sched.renice(agent.pid, this.#dice.below(40) - 20);
    else if (kind === "kill" && agent) agent.kill();
    else if (kind === "cancel") agent?.cancel();
    else if (kind === "pause") agent?.pause(this.#dice.below(SPAN));
  }

  #check(): void {
    const { sched, placer, pool, journal } = this.machine;
    this.told.checks++;
    pool.invariants();
    const all = [...sched.all()];
    const of = (state: Burst["state"]): Burst[] => all.filter((burst) => burst.state === state);
    const running = new Set(sched.running);
    must(running.size === sched.running.length, "a burst runs twice");
    must(running.size <= this.#slots, "more run than there are slots");
    must(
      of("ready").length === sched.waiting,
      `${of("ready").length} are ready, ${sched.waiting} wait`,
    );
    must(of("running").length === running.size, "who runs is not who has a slot");
    must(
      of("running").every((burst) => running.has(burst)),
      "a running burst was not chosen",
    );
    must(sched.waiting === 0 || running.size === this.#slots, "a slot is free and somebody waits");
    const owners = placer.table.slots.flatMap(({ cid }) => (cid === undefined ? [] : [cid]));
    must(new Set(owners).size === owners.length, "a context is in two slots");
    for (const { cid, binding, resident } of placer.table.slots) {
      if (binding !== 0n) must(placer.bound(binding) !== undefined, "a slot serves nobody");
      const held = cid === undefined ? undefined : journal.state.contexts.get(cid);
      must(
        cid === undefined || resident <= (held?.tokens.length ?? 0),
        "a slot has more than its context",
      );
    }
  }
}

/** A program: its calls one after the other, each on what the ones before it left. */
class Agent {
  over = false;
  readonly pid: bigint;
  readonly #story: Story;
  readonly #dice: Dice;
  readonly #cid: bigint;
  readonly #class: (typeof CLASSES)[number] | undefined;
  #left: number;
  #burst: Burst | undefined;
  #closed = false;

  constructor(story: Story, dice: Dice, id: bigint) {
    this.pid = id;
    this.#story = story;
    this.#dice = dice;
    this.#class = CLASSES[dice.below(CLASSES.length)];
    this.#left = 1 + dice.below(5);
    this.#cid = story.machine.openContext(id);
    this.#ask();
  }

  cancel(): void {
    if (!this.#burst) return;
    this.#story.machine.cancel(this.#burst);
    this.#story.told.cancelled++;
    this.#next();
  }

  kill(): void {
    if (this.#burst) this.#story.machine.cancel(this.#burst);
    this.#burst = undefined;
    this.over = true;
    this.#story.told.killed++;
    this.close();
  }

  pause(us: number): void {
    const { sched, clock } = this.#story.machine;
    const burst = this.#burst;
    if (!burst) return;
    sched.pause(burst, clock.now());
    clock.after(us, () => sched.resume(burst, clock.now()));
  }

  close(): void {
    if (!this.#closed) this.#story.machine.closeContext(this.#cid);
    this.#closed = true;
  }

  #ask(): void {
    if (this.over) return;
    const { machine } = this.#story;
    const has = machine.journal.state.contexts.get(this.#cid)?.tokens.length ?? 0;
    // Now and then what it said last is taken back, and something else given.
    const keep = this.#dice.below(4) === 0 ? this.#dice.below(has + 1) : has;
    const given = Array.from({ length: 1 + this.#dice.below(60) }, (_, i) => keep + i);
    const output = Array.from({ length: 1 + this.#dice.below(40) }, () => this.#dice.below(1000));
    const length = machine.become(this.#cid, keep, given);
    const whose = {
      pid: this.pid,
      cid: this.#cid,
      program: this.pid,
      principal: `p${this.pid % 3n}`,
    };
    const nice = this.#dice.below(40) - 20;
    const listener = { progress: () => {}, end: () => this.#ended(length, output) };
    const of = this.#class === undefined ? {} : { class: this.#class };
    this.#burst = machine.enqueue({ ...whose, ...of, output, nice }, listener);
  }

  /** What was said is what there was to say: nothing lost, nothing twice. */
  #ended(length: number, output: readonly number[]): void {
    const { machine, told } = this.#story;
    const tokens = machine.journal.state.contexts.get(this.#cid)?.tokens.slice(length) ?? [];
    must(tokens.join() === output.join(), `a call said ${tokens.join()}, and not ${output.join()}`);
    if (this.#burst) machine.forget(this.#burst);
    told.ended++;
    this.#next();
  }

  #next(): void {
    this.#burst = undefined;
    this.#left--;
    if (this.#left === 0) this.over = true;
    else this.#story.machine.clock.after(this.#dice.below(200_000), () => this.#ask());
  }
}

function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
