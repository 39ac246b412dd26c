/** Plays programs on a machine: each asks, waits and asks again, until all are over. */
import type { Burst } from "../../../kernel/sched/burst.js";
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
  let pids = 0n;
  for (const program of programs) {
    machine.clock.at(program.at, () => {
      const ended = (record: ProgramRecord): unknown => records.push(record);
      new Running(machine, program, ++pids, { turnUs, watcher, calls, ended }).begin();
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

class Running {
  readonly #machine: Machine;
  readonly #program: Program;
  /** Its session; the pids of its contexts' processes have it in them. */
  readonly #session: bigint;
  readonly #stage: Stage;
  readonly #waiting = new Map<number, ProgramCall[]>();
  readonly #cids = new Map<number, bigint>();
  /** By context: calls of it that are over, and those that wait for that. */
  readonly #done = new Map<number, number>();
  readonly #early: ProgramCall[] = [];
  readonly #at: number;
  #left: number;

  constructor(machine: Machine, program: Program, session: bigint, stage: Stage) {
    this.#machine = machine;
    this.#program = program;
    this.#session = session;
    this.#stage = stage;
    this.#at = machine.clock.now();
    this.#left = program.calls.length;
    stage.watcher?.expect(session, program);
    for (const call of program.calls) {
      this.#waiting.set(call.after, [...(this.#waiting.get(call.after) ?? []), call]);
    }
  }

  begin(): void {
    this.#over(-1, 0);
  }

  /** What waited for the call's end asks when its pause is over. */
  #over(index: number, turnUs: number): void {
    for (const call of this.#waiting.get(index) ?? []) {
      this.#machine.clock.after(call.pauseUs + turnUs, () => this.#ask(call));
    }
  }

  #ask(call: ProgramCall): void {
    // A context's calls follow one another, whatever else they waited for.
    if ((this.#done.get(call.context) ?? 0) < call.turn) {
      this.#early.push(call);
      return;
    }
    const machine = this.#machine;
    const askedAt = machine.clock.now();
    const pid = this.#session * 4096n + BigInt(call.context % 4096);
    const cid = this.#cids.get(call.context) ?? machine.openContext(pid);
    this.#cids.set(call.context, cid);
    const prompt = machine.become(cid, call.keep, call.given);
    const { principal, nice } = this.#program;
    const whose = { pid, cid, program: this.#session, principal, nice };
    const burst = machine.enqueue(
      { ...whose, output: call.output },
      {
        progress: () => {},
        end: () => this.#ended(call, burst, askedAt, prompt),
      },
    );
    this.#stage.watcher?.asks(burst, this.#program, call);
  }

  #ended(call: ProgramCall, burst: Burst, askedAt: number, prompt: number): void {
    const machine = this.#machine;
    const now = machine.clock.now();
    machine.forget(burst);
    const { id, principal } = this.#program;
    const { queuedUs, servedUs, firstTokenAt, cached, generatedSoFar } = burst;
    this.#stage.calls.push({
      ...{
        program: id,
        call: call.index,
        principal,
        askedAt,
        endedAt: now,
        queuedUs,
        servedUs,
        prompt,
        cached,
      },
      firstTokenUs: firstTokenAt - askedAt,
      generated: generatedSoFar,
    });
    const cid = this.#cids.get(call.context);
    if (cid !== undefined) this.#leave(call, cid);
    this.#over(call.index, this.#stage.turnUs);
    this.#left--;
    if (this.#left === 0) {
      const calls = this.#program.calls.length;
      this.#stage.ended({ id, principal, at: this.#at, endedAt: now, calls });
    }
  }

  /** The context is free for who waited for it, or closes some time after its last call. */
  #leave(call: ProgramCall, cid: bigint): void {
    const machine = this.#machine;
    // Its process knows what it waits for; the loop has told the pool that it is something.
    machine.placer.waits(cid, { kind: call.wait }, machine.clock.now());
    this.#done.set(call.context, call.turn + 1);
    if (call.closesUs !== undefined) {
      machine.clock.after(call.closesUs, () => machine.closeContext(cid));
    }
    const next = this.#early.findIndex(
      (it) => it.context === call.context && it.turn === call.turn + 1,
    );
    for (const early of next < 0 ? [] : this.#early.splice(next, 1)) this.#ask(early);
  }
}
