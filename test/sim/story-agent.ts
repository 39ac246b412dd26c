/**
 * The programs of a story: shells, which were started elsewhere, spawn agents and wait for
 * them; agents, which ask, spawn, fail, hang and end. What an agent has done survives its
 * run, as its context does; a restart goes on with it.
 */
import type { Dice } from "../../bench/sim/dice.js";
import type { Generation } from "../../bench/sim/sched/calls.js";
import type { Machine } from "../../bench/sim/sched/machine.js";
import type { Program, Run } from "../../bench/sim/sched/processes.js";
import { makeId } from "../../kernel/ids.js";
import { CLASSES } from "../../kernel/journal/fold-procs.js";
import type { Birth } from "../../kernel/proc/processes.js";
import { alone } from "../../kernel/proc/supervise/births.js";
import { RESTART_POLICIES } from "../../kernel/proc/supervise/decide.js";
import { ContixError } from "../../proto/errno.js";
import { must } from "./story-checks.js";

/** What the programs of a story share. */
export interface Stage {
  readonly machine: Machine;
  readonly dice: Dice;
  readonly told: Record<
    | "ended"
    | "cancelled"
    | "refused"
    | "restarted"
    | "failed"
    | "waited"
    | "refusedSpawns"
    | "brokenStarts",
    number
  >;
  /** Nobody begins anything new: the story comes to its end. */
  ending: boolean;
  readonly agents: Agent[];
}

/** Generations of agents that were spawned by agents. */
const DEPTH = 2;
/** One of an agent's answers is at most so long. */
const LONGEST = 40;

export class Agent implements Program {
  pid = 0n;
  run: Run | undefined;
  generation: Generation | undefined;
  /** All that it had to do is done, or it was ended. */
  over = false;
  readonly #stage: Stage;
  readonly #depth: number;
  readonly #stubborn: boolean;
  #left: number;
  #cid = 0n;

  constructor(stage: Stage, depth: number) {
    this.#stage = stage;
    this.#depth = depth;
    this.#left = 1 + stage.dice.below(5);
    this.#stubborn = stage.dice.below(5) === 0;
    stage.agents.push(this);
  }

  bootUs = (): number => 1 + this.#stage.dice.below(100_000);

  broken = (): Error | undefined => {
    const { dice, told } = this.#stage;
    if (dice.below(30) > 0) return undefined;
    told.brokenStarts++;
    return new ContixError("ENOENT", "there is no such program");
  };

  begin(run: Run): void {
    const { machine, told } = this.#stage;
    if (this.run) told.restarted++;
    this.run = run;
    this.pid = run.pid;
    if (this.#cid === 0n) this.#cid = machine.openContext(run.pid);
    // One that is done and is started again all the same has nothing to do.
    if (this.over) run.exit(0);
    else this.#next();
  }

  signal(_run: Run, name: string): boolean {
    return name === "USR1" || this.#stubborn;
  }

  /** Takes a birth's chances: class, nice, quota, and who starts it again. */
  birth(parent: bigint, principal: string, supervisor: bigint): Omit<Birth, "spawned"> {
    const { dice } = this.#stage;
    const rank = CLASSES[dice.below(CLASSES.length)] ?? "interactive";
    const quota = dice.below(3) === 0 ? { processes: 1 + dice.below(3) } : undefined;
    const backoff = { firstUs: 1000 * (1 + dice.below(200)), mostUs: 1_000_000 };
    const watchdogUs = dice.below(3) === 0 ? 300_000 : 0;
    const policy = RESTART_POLICIES[dice.below(RESTART_POLICIES.length)] ?? "never";
    const member = { policy, backoff, watchdogUs, ownHeartbeat: false };
    const intensity = { max: dice.below(4), withinUs: 2_000_000 };
    return {
      ...{ parent, name: "agent", principal, nice: dice.below(40) - 20, class: rank, quota },
      ...(supervisor === 0n ? {} : { group: supervisor }),
      also: (pid) => {
        if (supervisor !== 0n)
          return [{ type: "supervise.joined", group: supervisor, pid, ...member }];
        if (policy === "never" && watchdogUs === 0) return [];
        return alone({ pid, parent, principal }, { pid, ...member }, intensity);
      },
    };
  }

  /** Somebody takes its call back, or its reader is behind for a while. */
  cancel(): void {
    this.generation?.cancel();
  }
  pause(us: number): void {
    const { generation } = this;
    generation?.read(false);
    this.#stage.machine.clock.after(us, () => generation?.read(true));
  }

  #next(): void {
    this.#later(this.#stage.dice.below(200_000), () => this.#act());
  }

  #later(us: number, act: () => void): void {
    this.run?.after(us, act);
  }

  #act(): void {
    const { dice, told } = this.#stage;
    const { run } = this;
    if (!run || run.over) return;
    if (this.#left === 0) {
      this.over = true;
      run.exit(0);
      return;
    }
    const chance = dice.below(40);
    if (chance < 2) {
      told.failed++;
      run.exit(1);
    } else if (chance === 2) run.hangs = true;
    else if (chance < 9 && this.#depth < DEPTH && !this.#stage.ending) this.#spawn();
    else this.#ask();
  }

  #spawn(): void {
    const { machine, told } = this.#stage;
    const { procs } = machine.kernel;
    const process = procs.get(this.pid);
    const child = new Agent(this.#stage, this.#depth + 1);
    try {
      const birth = child.birth(this.pid, process?.principal ?? "", 0n);
      procs.spawn({ ...birth, session: process?.session ?? this.pid }, child);
    } catch (error) {
      child.over = true;
      if (!(error instanceof ContixError)) throw error;
      if (error.code === "EAGAIN") told.refusedSpawns++;
    }
    this.#next();
  }

  #ask(): void {
    const { machine, dice } = this.#stage;
    const has = machine.journal.state.contexts.get(this.#cid)?.tokens.length ?? 0;
    // Now and then what it said last is taken back, and something else given.
    const keep = dice.below(4) === 0 ? dice.below(has + 1) : has;
    const given = Array.from({ length: 1 + dice.below(60) }, (_, i) => keep + i);
    const output = Array.from({ length: 1 + dice.below(LONGEST) }, () => dice.below(1000));
    const length = keep + given.length;
    const { run } = this;
    try {
      this.generation = machine.generate(
        this.pid,
        { cid: this.#cid, keep, given, output },
        (error) => this.#heard(run, length, output, error),
      );
    } catch (error) {
      this.#refused(error);
    }
  }

  /** It comes back when it was told to. */
  #refused(error: unknown): void {
    if (!(error instanceof ContixError) || error.code !== "EAGAIN") throw error;
    must(error.retryAfterUs > 0, "a refusal without a time");
    this.#stage.told.refused++;
    this.#later(error.retryAfterUs, () => this.#act());
  }

  /** What was said is what there was to say: nothing lost, nothing twice. */
  #heard(run: Run | undefined, length: number, output: readonly number[], error?: Error): void {
    const { machine, told } = this.#stage;
    const said = machine.journal.state.contexts.get(this.#cid)?.tokens.slice(length) ?? [];
    const due = error ? output.slice(0, said.length) : output;
    must(said.join() === due.join(), `a call said ${said.join()}, and not ${due.join()}`);
    this.generation = undefined;
    if (run !== this.run || run?.over) return;
    if (error) told.cancelled++;
    else told.ended++;
    this.#left--;
    this.#next();
  }
}

/** Spawns agents, some of them as a team, waits for each, and leaves when all are over. */
export class Shell implements Program {
  run: Run | undefined;
  readonly #stage: Stage;
  readonly #principal: string;
  readonly #spanUs: number;
  #team = 0n;
  #coming: number;

  constructor(stage: Stage, principal: string, agents: number, spanUs: number) {
    this.#stage = stage;
    this.#principal = principal;
    this.#coming = agents;
    this.#spanUs = spanUs;
  }

  begin(run: Run): void {
    const { dice, machine } = this.#stage;
    this.run = run;
    if (dice.below(2) === 0) {
      const { journal } = machine;
      // As the syscall that makes a group has it.
      this.#team = makeId(journal.node, journal.state.counters.pid + 1);
      const strategy = dice.below(2) === 0 ? "all_for_one" : "one_for_one";
      const intensity = { max: dice.below(4), withinUs: 2_000_000 };
      const of = { owner: run.pid, principal: this.#principal, strategy, solo: false } as const;
      journal.append({ type: "supervise.group", group: this.#team, ...of, ...intensity });
    }
    for (let i = this.#coming; i > 0; i--) {
      run.after(dice.below(this.#spanUs), () => this.#spawn());
    }
  }

  #spawn(): void {
    const { machine, told, ending } = this.#stage;
    const { kernel, journal } = machine;
    this.#coming--;
    const run = this.run;
    if (!run || ending) return;
    const team = journal.state.supervision.groups.get(this.#team);
    const child = new Agent(this.#stage, 0);
    try {
      const joins = team?.ending === "" && this.#stage.dice.below(2) === 0;
      kernel.procs.spawn(child.birth(run.pid, this.#principal, joins ? this.#team : 0n), child);
      this.#wait(run);
    } catch (error) {
      child.over = true;
      if (!(error instanceof ContixError)) throw error;
      if (error.code === "EAGAIN") told.refusedSpawns++;
      this.#leave();
    }
  }

  /** One call for each child: as many are waited for as there were. */
  #wait({ pid: parent }: Run): void {
    const { machine, told } = this.#stage;
    const { procs, trap } = machine.kernel;
    const process = procs.get(parent);
    if (!process) return;
    const call = trap.begin(process, "proc.wait");
    const done = (pid: bigint, exitCode: number, cause: string): void => {
      call.done({ $case: "wait", value: { pid, exitCode, cause } }, [procs.reap(pid)]);
      told.waited++;
      this.#leave();
    };
    const found = ({
      pid,
      exit,
    }: {
      pid: bigint;
      exit: { code: number; cause: string } | undefined;
    }) => {
      must(exit !== undefined, `${pid} was waited for and is not over`);
      done(pid, exit?.code ?? 0, exit?.cause ?? "");
    };
    call.onEnd(procs.wait({ parent, pid: 0n, found, failed: (error) => call.fail(error) }));
  }

  #leave(): void {
    const { journal } = this.#stage.machine;
    const { run } = this;
    if (!run || run.over || this.#coming > 0) return;
    const children = [...journal.state.processes.values()].some(({ parent }) => parent === run.pid);
    if (!children) run.exit(0);
  }
}
