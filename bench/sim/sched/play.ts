/**
 * Plays programs on a machine: each asks, waits and asks again, until all are over.
 *
 * A program is a process, and each further context of it a child: its sub-agents. A child
 * ends when its context closes, and is waited for; the program when all of them have, and
 * its calls are over.
 */
import { INIT } from "../../../kernel/journal/fold-procs.js";
import type { Burst } from "../../../kernel/sched/burst.js";
import { ContixError } from "../../../proto/errno.js";
import type { Machine } from "./machine.js";
import type { Program, ProgramCall } from "./programs.js";

/** What became of a call, microseconds. */
export interface CallRecord {
  readonly program: number;
  /** Its place among the program's calls. */
  readonly call: number;
  readonly principal: string;
  readonly askedAt: number;
  readonly endedAt: number;
  /** Without a slot, and with one. */
  readonly queuedUs: number;
  readonly servedUs: number;
  /** From the asking. */
  readonly firstTokenUs: number;
  readonly prompt: number;
  /** Tokens of the prompt that were found. */
  readonly cached: number;
  readonly generated: number;
}

export interface ProgramRecord {
  readonly id: number;
  readonly principal: string;
  readonly at: number;
  readonly endedAt: number;
  readonly calls: number;
}

export interface Played {
  readonly calls: readonly CallRecord[];
  readonly programs: readonly ProgramRecord[];
}

/** Hears what clairvoyant policies know. */
export interface Watcher {
  /** The program has come; its bursts will name it by its session. */
  expect(session: bigint, program: Program): void;
  asks(burst: Burst, program: Program, call: ProgramCall): void;
}

/** `turnUs`: from an answer to the next call in the queue, beside the pause. */
export async function play(
  machine: Machine,
  programs: readonly Program[],
  turnUs: number,
  watcher?: Watcher,
): Promise<Played> {
  const calls: CallRecord[] = [];
  const records: ProgramRecord[] = [];
  for (const program of programs) {
    machine.clock.at(program.at, () => {
      const ended = (record: ProgramRecord): unknown => records.push(record);
      new Running(machine, program, { turnUs, watcher, calls, ended }).begin();
    });
  }
  await machine.run();
  if (records.length < programs.length) {
    throw new Error(
      `${programs.length - records.length} of ${programs.length} programs never ended`,
    );
  }
  return { calls, programs: records };
}

interface Stage {
  readonly turnUs: number;
  readonly watcher: Watcher | undefined;
  readonly calls: CallRecord[];
  readonly ended: (record: ProgramRecord) => void;
}

/** Of one that was refused again and again (syscalls/invoke.ts). */
const LONGEST_RETRY_US = 60_000_000;

class Running {
  readonly #machine: Machine;
  readonly #program: Program;
  /** Its process, which leads its session. */
  readonly #pid: bigint;
  readonly #stage: Stage;
  readonly #waiting = new Map<number, ProgramCall[]>();
  readonly #contexts = new Map<number, Owned>();
  /** By context: calls of it that are over, and those that wait for that. */
  readonly #done = new Map<number, number>();
  readonly #early: ProgramCall[] = [];
  readonly #at: number;
  #left: number;
  /** Contexts that are not closed. */
  #open = 0;

  constructor(machine: Machine, program: Program, stage: Stage) {
    this.#machine = machine;
    this.#program = program;
    this.#stage = stage;
    this.#at = machine.clock.now();
    this.#left = program.calls.length;
    this.#pid = this.#spawn(INIT, {});
    stage.watcher?.expect(this.#pid, program);
    for (const call of program.calls) {
      const after = this.#waiting.get(call.after);
      if (after) after.push(call);
      else this.#waiting.set(call.after, [call]);
    }
  }

  begin(): void {
    this.#over(-1, 0);
  }

  #spawn(parent: bigint, of: { readonly session?: bigint }): bigint {
    const { id, principal, nice } = this.#program;
    const { procs } = this.#machine.kernel;
    return procs.spawn({ parent, name: `program-${id}`, principal, nice, ...of });
  }

  /** What waited for the call's end asks when its pause is over. */
  #over(index: number, turnUs: number): void {
    const { clock } = this.#machine;
    for (const call of this.#waiting.get(index) ?? []) {
      clock.after(call.pauseUs + turnUs, () => this.#ask(call, clock.now(), 0));
    }
  }

  #ask(call: ProgramCall, askedAt: number, tried: number): void {
    // A context's calls follow one another, whatever else they waited for.
    if ((this.#done.get(call.context) ?? 0) < call.turn) {
      this.#early.push(call);
      return;
    }
    const machine = this.#machine;
    const { cid, pid } = this.#contexts.get(call.context) ?? this.#openContext(call.context);
    const { keep, given, output } = call;
    try {
      const { burst } = machine.generate(pid, { cid, keep, given, output }, (error) => {
        if (error) throw error;
        this.#ended(call, burst, askedAt);
      });
      this.#stage.watcher?.asks(burst, this.#program, call);
    } catch (error) {
      if (!(error instanceof ContixError) || error.code !== "EAGAIN") throw error;
      const us = Math.min(LONGEST_RETRY_US, error.retryAfterUs * 2 ** Math.min(tried, 16));
      machine.clock.after(us, () => this.#ask(call, askedAt, tried + 1));
    }
  }

  /** The first is the program's own, each other one a child's. */
  #openContext(context: number): Owned {
    const pid =
      this.#contexts.size === 0 ? this.#pid : this.#spawn(this.#pid, { session: this.#pid });
    const owned = { pid, cid: this.#machine.openContext(pid) };
    this.#contexts.set(context, owned);
    this.#open++;
    return owned;
  }

  #ended(call: ProgramCall, burst: Burst, askedAt: number): void {
    const now = this.#machine.clock.now();
    const { id, principal } = this.#program;
    const { queuedUs, servedUs, firstTokenAt, cached, generatedSoFar, spec } = burst;
    this.#stage.calls.push({
      ...{ program: id, call: call.index, principal, askedAt, endedAt: now },
      ...{ queuedUs, servedUs, prompt: spec.genStart, cached },
      firstTokenUs: firstTokenAt - askedAt,
      generated: generatedSoFar,
    });
    this.#leave(call);
    this.#over(call.index, this.#stage.turnUs);
    this.#left--;
    if (this.#left === 0) {
      const calls = this.#program.calls.length;
      this.#stage.ended({ id, principal, at: this.#at, endedAt: now, calls });
      this.#exit();
    }
  }

  /** The context is free for who waited for it, or closes some time after its last call. */
  #leave(call: ProgramCall): void {
    const { placer, clock } = this.#machine;
    const owned = this.#contexts.get(call.context);
    if (!owned) return;
    // Its process knows what it waits for; the loop has told the pool that it is something.
    placer.waits(owned.cid, { kind: call.wait }, clock.now());
    this.#done.set(call.context, call.turn + 1);
    if (call.closesUs !== undefined) clock.after(call.closesUs, () => this.#close(owned));
    const next = this.#early.findIndex(
      (it) => it.context === call.context && it.turn === call.turn + 1,
    );
    const early = next < 0 ? [] : this.#early.splice(next, 1);
    for (const call of early) this.#ask(call, clock.now(), 0);
  }

  #close({ pid, cid }: Owned): void {
    const { kernel } = this.#machine;
    const { procs, journal } = kernel;
    this.#machine.closeContext(cid);
    this.#open--;
    if (pid !== this.#pid) {
      const found = (): void => journal.append(procs.reap(pid));
      procs.runs.get(pid)?.exit(0);
      procs.wait({ parent: this.#pid, pid, found, failed: () => {} });
    }
    this.#exit();
  }

  #exit(): void {
    if (this.#left === 0 && this.#open === 0)
      this.#machine.kernel.procs.runs.get(this.#pid)?.exit(0);
  }
}

/** A context and its process. */
interface Owned {
  readonly pid: bigint;
  readonly cid: bigint;
}
