/**
 * A random story for the kernel, out of a seed: shells spawn agents, alone and in teams,
 * which call, spawn, fail, hang, are started again and reaped, under any policy, on the
 * kernel's own process table, admission, scheduler, placer and pool around the virtual
 * engine; drivers die, processes are killed from outside, signalled, stopped and let go on,
 * calls are cancelled, readers are behind, streams break, ranks and policies change. What
 * must hold is looked at before every plan that runs (story-checks.ts), and with it that
 * nobody waits longer than a policy promises (kernel/sched/testing/waits.ts).
 */
import { random } from "../../bench/harness/random.js";
import { Dice } from "../../bench/sim/dice.js";
import { DEFAULT_COST } from "../../bench/sim/sched/cost.js";
import { Machine } from "../../bench/sim/sched/machine.js";
import { INIT } from "../../kernel/journal/fold-procs.js";
import type { JournalRecord } from "../../kernel/journal/records.js";
import { find } from "../../kernel/proc/supervise/members.js";
import { priority } from "../../kernel/sched/policies/priority.js";
import { makePolicy, POLICY_NAMES } from "../../kernel/sched/policies.js";
import type { Policy } from "../../kernel/sched/policy.js";
import { WaitWatch } from "../../kernel/sched/testing/waits.js";
import { type Agent, Shell, type Stage } from "./story-agent.js";
import { checkEnd, checkProcesses, checkSlots, must } from "./story-checks.js";

const MISHAPS = [
  ...["crash", "cancel", "kill", "signal", "team", "stop", "pause", "renice", "policy"],
  ...["stream", "shell", "end"],
] as const;
/** In this time programs come and mishaps happen, microseconds. */
const SPAN = 3_000_000;
/** In a long story programs come so long. */
const LONG_SPAN = 60_000_000;
/** Then the kernel ends: whoever could have come to an end has. */
const FINALE = 3_000_000_000;
const GRACE = 500_000;

export class Story implements Stage {
  readonly machine: Machine;
  readonly dice: Dice;
  readonly agents: Agent[] = [];
  ending = false;
  readonly told = {
    ...{ checks: 0, ended: 0, cancelled: 0, refused: 0, ripe: 0 },
    ...{ killed: 0, failed: 0, restarted: 0, exited: 0, waited: 0, orphaned: 0 },
    ...{ refusedSpawns: 0, brokenStarts: 0, stopped: 0 },
  };
  readonly #slots: number;
  readonly #shells: Shell[] = [];
  #watch: WaitWatch;
  #over: Promise<void> = Promise.resolve();

  constructor(seed: number) {
    const dice = new Dice(random(seed));
    this.dice = dice;
    this.#slots = 1 + dice.below(4);
    const frames = dice.below(3) === 0 ? 0 : 4 + dice.below(60);
    const blocks = frames > 0 && dice.below(2) === 0 ? 4 + dice.below(60) : 0;
    const queueLimit = dice.below(3) === 0 ? 1 + dice.below(8) : 512;
    const place = { slots: this.#slots, frames, blocks, cost: DEFAULT_COST, queueLimit };
    this.#watch = this.#watched();
    this.machine = new Machine({ ...place, policy: this.#watch.policy });
    const { engine, clock, journal, placer } = this.machine;
    const costOf = placer.switchCost.bind(placer);
    placer.switchCost = (burst) => this.#watch.told(costOf(burst));
    journal.watch((record) => this.#hear(record));
    const run = engine.run.bind(engine);
    engine.run = (plan) => {
      this.#check();
      return run(plan);
    };
    const long = dice.below(6) === 0;
    const span = long ? LONG_SPAN : SPAN;
    for (let i = 1 + dice.below(3); i > 0; i--) {
      clock.at(dice.below(SPAN), () => this.#open(`p${i}`, 1 + dice.below(long ? 20 : 6), span));
    }
    for (let i = dice.below(16); i > 0; i--) {
      clock.at(dice.below(2 * span), () => this.#mishap(MISHAPS[dice.below(MISHAPS.length)]));
    }
    clock.at(FINALE, () => this.#end());
  }

  /** Plays it to its end. Throws what does not hold. */
  async play(): Promise<void> {
    await this.machine.run();
    await this.#over;
    checkEnd(this.machine);
    this.told.ripe += this.#watch.ripe;
  }

  #open(principal: string, agents: number, span: number): void {
    const shell = new Shell(this, principal, agents, span);
    const birth = { parent: INIT, name: "shell", principal, nice: 0 };
    this.machine.kernel.procs.enter(birth, shell);
    this.#shells.push(shell);
  }

  #watched(): WaitWatch {
    const { dice } = this;
    const quantum = 1 + dice.below(16);
    const agingUs = 1000 * (1 + dice.below(50));
    const name = POLICY_NAMES[dice.below(POLICY_NAMES.length)] ?? "rr";
    const policy: Policy =
      name === "priority" ? priority(quantum, agingUs) : makePolicy(name, { quantum });
    return new WaitWatch(policy, { slots: this.#slots, agingUs });
  }

  #mishap(kind: (typeof MISHAPS)[number] | undefined): void {
    const { sched, engine, kernel, journal } = this.machine;
    const { procs } = kernel;
    const alive = this.agents.filter(({ pid }) => procs.runs.has(pid));
    const agent = alive[this.dice.below(Math.max(1, alive.length))];
    if (kind === "crash") engine.crash();
    else if (kind === "policy") this.#setPolicy();
    else if (kind === "stream" || kind === "shell") this.#shellMishap(kind);
    else if (!agent) return;
    else if (kind === "cancel") agent.cancel();
    else if (kind === "pause") agent.pause(this.dice.below(2 * SPAN));
    else if (kind === "stop") this.#stop(agent);
    else if (kind === "renice") {
      const nice = this.dice.below(40) - 20;
      journal.append({ type: "proc.niced", pid: agent.pid, nice });
      sched.renice(agent.pid, nice);
    } else if (kind === "kill") {
      this.told.killed++;
      // From outside: the kernel hears of it when it is gone.
      procs.runs.get(agent.pid)?.os.signal("SIGKILL");
    } else if (kind === "signal") {
      const names = ["INT", "TERM", "KILL", "USR1"];
      procs.signals.ask(agent.pid, names[this.dice.below(names.length)] ?? "TERM", INIT);
    } else if (kind === "team") {
      const group = procs.get(agent.pid)?.group;
      for (const each of [...journal.state.processes.values()]) {
        if (each.group === group && !each.exit) procs.signals.ask(each.pid, "TERM", INIT);
      }
    } else if (kind === "end") void procs.supervisor.stop(agent.pid, this.dice.below(GRACE) + 1);
  }

  #shellMishap(kind: "stream" | "shell"): void {
    const open = this.#shells.filter(({ run }) => run && !run.over);
    const run = open[this.dice.below(Math.max(1, open.length))]?.run;
    if (!run) return;
    // Some are back before the kernel gives them up, some are not.
    if (kind === "stream") run.breaks(this.dice.below(10_000_000));
    else this.machine.kernel.procs.kill(run.pid);
  }

  #stop({ pid }: Agent): void {
    const { clock, kernel } = this.machine;
    this.told.stopped++;
    kernel.procs.signals.send(pid, "STOP", INIT);
    clock.after(this.dice.below(SPAN), () => kernel.procs.signals.send(pid, "CONT", INIT));
  }

  #setPolicy(): void {
    const { sched, clock } = this.machine;
    this.told.ripe += this.#watch.ripe;
    this.#watch = this.#watched();
    sched.setPolicy(this.#watch.policy, clock.now());
  }

  #check(): void {
    const { sched, clock } = this.machine;
    this.told.checks++;
    checkSlots(this.machine, this.#slots);
    checkProcesses(this.machine);
    this.#watch.note(sched, clock.now());
  }

  /** Every process is over once, and forgotten only then; no run begins whose end is decided. */
  #hear(record: JournalRecord): void {
    if (record.type === "supervise.started") {
      const { supervision } = this.machine.journal.state;
      must(
        !find(supervision, record.pid)?.member.doom,
        `${record.pid} begins a run that is doomed`,
      );
    }
    if (record.type !== "proc.exited" && record.type !== "proc.reaped") return;
    const { procs } = this.machine.kernel;
    const process = procs.get(record.pid);
    if (!process) return;
    if (record.type === "proc.reaped") {
      must(process.exit !== undefined, `${record.pid} is forgotten before it is over`);
      return;
    }
    must(process.exit === undefined, `${record.pid} is over twice`);
    this.told.exited++;
    for (const child of this.machine.journal.state.processes.values()) {
      if (child.parent === record.pid) this.told.orphaned++;
    }
  }

  /** The kernel ends, and whoever is still there with it: those that hang, and those that start again for ever. */
  #end(): void {
    const { kernel, journal } = this.machine;
    const { procs } = kernel;
    this.ending = true;
    for (const agent of this.agents) {
      const process = procs.get(agent.pid);
      if (agent.pid === 0n || !process || process.exit) continue;
      const policy = find(journal.state.supervision, agent.pid)?.member.policy;
      must(agent.run?.hangs === true || policy === "always", `${agent.pid} was forgotten`);
    }
    this.#over = procs.endAll(GRACE);
  }
}
