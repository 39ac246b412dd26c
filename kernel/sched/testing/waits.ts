/**
 * How long a burst may wait, and a watch that holds a scheduler to it at every decision.
 *
 * Under a policy that starves nobody there is a time from which a burst that waits is
 * *ripe*: it goes before all of its class that begin to wait from then on.
 *
 * - `rr`: at once.
 * - `priority`: after 39 spans of aging, the difference between nice 19 and -20.
 * - `program`: when its program has waited ten times as long as it was served and as its input
 *   will take (the time from which its place is due).
 *
 * Before it are then only those of its class that waited already, each for one turn, and
 * those that have a slot, until they give it up; who gives way begins to wait anew, behind
 * it. A turn is a quantum. Who keeps its slot because the switch is not earned yet, or would
 * not pay any more, goes on with another: `hold` turns at most, until it was served half of
 * the switch and as much as the switch costs is left. So
 *
 *   from the time at which it is ripe, its class begins at most (those before it) × hold
 *   turns until it has a slot.
 *
 * And of the turns of classes above, at most PASSES + 1 begin between two of a class in which
 * somebody waits (run-queue.ts), and those of bursts whose switch does not pay: `hold` a slot
 * for each class above.
 * Both are counted in turns: what a turn takes is the engine's business, and bounded by its
 * tokens. How many wait is bounded by admission.
 */
import type { Burst } from "../burst.js";
import type { Policy } from "../policy.js";
import { PASSES } from "../run-queue.js";
import type { Scheduler } from "../scheduler.js";

/** From nice -20 to 19. */
const NICES = 39;

export interface WatchOptions {
  readonly slots: number;
  /** Of `priority`: waiting that is worth one nice value. */
  readonly agingUs?: number;
}

interface Wait {
  readonly since: number;
  /** Turns of its class when it was ripe, and bursts before it then; undefined: it is not. */
  ripe?: { readonly turns: number; readonly before: number };
}

export class WaitWatch {
  readonly policy: Policy;
  /** Bursts that were ripe and got their slot, or left. */
  ripe = 0;
  readonly #options: WatchOptions;
  readonly #due = new WeakMap<object, number>();
  readonly #waits = new Map<Burst, Wait>();
  readonly #turns = new Map<Burst, { readonly since: number; readonly turns: number }>();
  /** By rank: turns begun, and those of classes above since its last one. */
  readonly #begun = [0, 0, 0];
  readonly #passed = [0, 0, 0];
  #dearest = 0;
  #longest = 1;

  /** The watch hears from now on when places of the policy are due. */
  constructor(policy: Policy, options: WatchOptions) {
    this.#options = options;
    this.policy = policy;
    const placed = policy.place.bind(policy);
    policy.place = (burst, now) => {
      const place = placed(burst, now);
      if (place.dueAt !== undefined) this.#due.set(burst, place.dueAt);
      return place;
    };
  }

  /** The scheduler asks what a switch costs, and is told so. */
  told(cost: number): number {
    this.#dearest = Math.max(this.#dearest, cost);
    return cost;
  }

  /** After a decision, before what it chose is served. Throws what does not hold. */
  note(sched: Scheduler, now: number): void {
    this.#count(sched);
    for (const burst of this.#waits.keys()) {
      if (burst.state !== "ready" || burst.readySince !== this.#waits.get(burst)?.since) {
        this.#leave(burst);
      }
    }
    const all = [...sched.all()];
    const waiting = all.filter(({ state }) => state === "ready");
    for (const burst of waiting) this.#hold(burst, all, now);
    this.#passedOver(waiting);
  }

  #ripeAt(burst: Burst): number {
    const { name } = this.policy;
    if (name === "rr") return burst.readySince;
    if (name === "program") return this.#due.get(burst) ?? Number.POSITIVE_INFINITY;
    const { agingUs = Number.POSITIVE_INFINITY } = this.#options;
    return name === "priority" ? burst.readySince + NICES * agingUs : Number.POSITIVE_INFINITY;
  }

  /** Turns that one may have in its slot while another waits for it. */
  get #most(): number {
    const { quantum, preemptive } = this.policy;
    const kept = Math.max(quantum, this.#dearest / 2) + this.#dearest;
    return Math.ceil((preemptive ? Math.min(this.#longest, kept) : this.#longest) / quantum) + 1;
  }

  /** Finds the turns that this decision began. */
  #count(sched: Scheduler): void {
    const running = new Set(sched.running);
    for (const burst of this.#turns.keys()) if (!running.has(burst)) this.#turns.delete(burst);
    for (const burst of running) {
      const { rank, turns, switchedInAt: since, spec } = burst;
      this.#longest = Math.max(this.#longest, spec.maxTokens);
      const before = this.#turns.get(burst);
      if (before?.since === since && before.turns === turns) continue;
      this.#turns.set(burst, { since, turns });
      this.#begun[rank] = (this.#begun[rank] ?? 0) + 1;
      this.#passed[rank] = 0;
      for (let below = rank + 1; below < this.#passed.length; below++) {
        this.#passed[below] = (this.#passed[below] ?? 0) + 1;
      }
    }
  }

  #hold(burst: Burst, all: readonly Burst[], now: number): void {
    const { rank, readySince: since } = burst;
    const wait: Wait = this.#waits.get(burst) ?? { since };
    this.#waits.set(burst, wait);
    const begun = this.#begun[rank] ?? 0;
    if (wait.ripe === undefined) {
      if (now < this.#ripeAt(burst)) return;
      const before = all.filter((other) => {
        return other !== burst && other.rank === rank && other.state !== "paused";
      });
      wait.ripe = { turns: begun, before: before.length };
    }
    const most = wait.ripe.before * this.#most + this.#options.slots;
    const turns = begun - wait.ripe.turns;
    if (turns <= most) return;
    throw new Error(
      `a burst waits ${Math.round(now - since)} µs, for ${turns} turns of its class, ${most} at most`,
    );
  }

  #passedOver(waiting: readonly Burst[]): void {
    this.#passed.forEach((passed, rank) => {
      const most = PASSES + 1 + rank * this.#options.slots * this.#most;
      if (!waiting.some((burst) => burst.rank === rank)) this.#passed[rank] = 0;
      else if (passed > most) {
        throw new Error(`${passed} turns above a class in which somebody waits; at most ${most}`);
      }
    });
  }

  #leave(burst: Burst): void {
    if (this.#waits.get(burst)?.ripe) this.ripe++;
    this.#waits.delete(burst);
  }
}
