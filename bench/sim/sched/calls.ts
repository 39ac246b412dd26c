/**
 * Calls on the virtual clock: the kernel's books of those in flight, and generations as
 * sched/generate.ts has them, without text. Each has a place in the model's queue, holds its
 * context, and ends with its process, its context, or by its caller's wish.
 */
import { Call, NO_USAGE } from "../../../kernel/call.js";
import { InFlight, type Live } from "../../../kernel/in-flight.js";
import type { Process } from "../../../kernel/journal/journal.js";
import type { Placer } from "../../../kernel/mm/place.js";
import type { Burst, BurstEnd, BurstListener, BurstSpec } from "../../../kernel/sched/burst.js";
import type { Place } from "../../../kernel/sched/place.js";
import { costOf } from "../../../kernel/sched/policy.js";
import type { Scheduler } from "../../../kernel/sched/scheduler.js";
import { ContixError } from "../../../proto/errno.js";
import type { Usage } from "../../../proto/gen/contix/v1/kernel.js";
import type { VirtualKernel } from "./kernel.js";

/** Calls have no name, no payload and no handle here: nobody repeats one. */
const PLAIN = { handle: 0, timeoutUs: 0n, ackedThrough: 0n, credit: 0, call: undefined };
const AUDIT = { sync: () => Promise.resolve() };

export class VirtualTrap extends InFlight {
  /** A call of the process begins, if its rates let it in. EAGAIN. */
  begin(process: Process, name = "llm.generate"): Call {
    const { clock, journal, rates } = this.kernel;
    const live = this.live(process.pid);
    live.lastSeq++;
    const call = new Call({
      ...{
        process,
        journal,
        live,
        digest: "",
        row: { name, kind: "pure" },
        audit: AUDIT,
        trap: this,
      },
      syscall: { seq: live.lastSeq, ...PLAIN },
      arrivedAt: clock.now(),
    });
    rates.admit(call);
    call.admitted = true;
    live.calls.set(call.syscall.seq, call);
    return call;
  }

  /** Called by each call when it is over. */
  over(call: Call, live: Live): Usage {
    live.calls.delete(call.syscall.seq);
    return this.kernel.rates.settle(call, NO_USAGE);
  }
}

/** How a generation ended: whole, or by an error. */
export type Heard = (error?: Error) => void;

export interface GenerationParts {
  readonly kernel: VirtualKernel;
  readonly sched: Scheduler;
  readonly placer: Placer;
  readonly call: Call;
  readonly place: Place;
  readonly heard: Heard;
}

export class Generation implements BurstListener {
  readonly call: Call;
  readonly burst: Burst;
  readonly #parts: GenerationParts;
  readonly #lock: Disposable;
  #read = true;

  constructor(parts: GenerationParts, spec: BurstSpec) {
    const { kernel, sched, call } = parts;
    this.#parts = parts;
    this.call = call;
    this.#lock = kernel.life.lock(spec);
    const { nice } = call.process;
    this.burst = sched.enqueue(spec, this, nice, call.arrivedAt, kernel.clock.now());
    call.onEnd((error) => this.#over(error));
    call.onStopped(() => this.#regulate());
    this.#regulate();
  }

  /** Its caller takes it back. */
  cancel(): void {
    this.call.end(new ContixError("ECANCELED", "the caller cancelled the call"));
  }

  /** Its reader goes on, or is behind. */
  read(able: boolean): void {
    this.#read = able;
    this.#regulate();
  }

  progress(): void {}

  end(end: BurstEnd): void {
    if (end.kind === "failed") {
      this.#over(end.error);
      this.call.fail(end.error);
      return;
    }
    this.#leave();
    const said = { text: "", tokens: [], finish: end.finish, stop: end.stop, seed: 0n };
    this.call.done({ $case: "generate", value: { ...said, edit: undefined } });
    this.#parts.heard();
  }

  #over(error: Error): void {
    this.#leave();
    this.#parts.heard(error);
  }

  #leave(): void {
    const { kernel, sched, placer, place } = this.#parts;
    placer.release(this.burst);
    sched.remove(this.burst, kernel.clock.now());
    this.#lock[Symbol.dispose]();
    const { entered, cached, attained, servedUs } = this.burst;
    const given = Math.max(0, entered - Math.max(0, cached));
    place.leave({ work: costOf({ given, generated: attained }), servedUs });
  }

  /** It competes for a slot only while somebody takes what it makes, and wants it. */
  #regulate(): void {
    if (this.call.over) return;
    const { kernel, sched, place } = this.#parts;
    const able = this.#read && !this.call.process.stopped;
    if (able) sched.resume(this.burst, kernel.clock.now());
    else sched.pause(this.burst, kernel.clock.now());
    place.read(able);
  }
}
