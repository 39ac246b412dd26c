/**
 * A kernel that schedules by dice: it serves stories on an executor and does to them
 * whatever a kernel may do. Random arrivals, slots with holes between them, chunks of
 * random size, pauses, preemption with the slot's content kept or dropped, rebuilding
 * from tokens, prefixes copied from other slots, compaction, others cancelled, and plans
 * that come one outcome too late. With `calm` it does none of that: one story at a time,
 * alone, each prompt in one piece.
 */
import type { Outcome, Plan, RowOutcome } from "../../proto/gen/contix/driver/v1/llm.js";
import type { TokenLogprob } from "../../proto/gen/contix/v1/calls.js";
import { type Answer, type Dice, History, type Story } from "./law2-story.js";

interface Job {
  readonly story: Story;
  /** Cancelled at some time; nobody looks at its answers. */
  readonly noise: boolean;
  readonly history: History;
  readonly answers: Answer[];
  burst: bigint;
  genStart: number;
  generated: number[];
  logits: number[];
  logprobs: TokenLogprob[];
  text: string;
  seat: Seat | undefined;
  /** Its burst sampled in this seat: the driver knows the token to go on with. */
  live: boolean;
  /** Not to be seated before a plan with this id is running. */
  notBefore: bigint;
  /** Ends of the chunks that its current prefill is cut into. */
  cuts: number[];
}

/** A slot as this kernel knows it: the driver may be one step ahead. */
interface Seat {
  readonly slot: number;
  job: Job | undefined;
  content: History;
  length: number;
}

export interface RandomKernelOptions {
  readonly slots: number;
  readonly stories: readonly Story[];
  /** Stories beside them that are cancelled. */
  readonly noise: readonly Story[];
  readonly dice: Dice;
  readonly calm: boolean;
  readonly submit: (plan: Plan) => void;
  /** Hashes of the logits from which the `count` tokens of a slot's last run were sampled. */
  readonly logits: (slot: number, count: number) => readonly number[];
}

const LONGEST_CHUNK = 128;

export class RandomKernel {
  readonly #o: RandomKernelOptions;
  readonly #seats: Seat[];
  readonly #jobs: Job[];
  /** Not arrived yet, last to come first. */
  readonly #coming: Job[];
  readonly #present: Job[] = [];
  readonly #byBurst = new Map<bigint, Job>();
  #bursts = 0n;
  #plans = 0n;
  /** A plan that was made and is held back until the next outcome. */
  #held: Plan | undefined;

  constructor(options: RandomKernelOptions) {
    this.#o = options;
    this.#seats = Array.from({ length: options.slots }, (_, slot) => ({
      slot,
      job: undefined,
      content: new History(),
      length: 0,
    }));
    this.#jobs = options.stories.map((story) => this.#job(story, false));
    const noise = options.noise.map((story) => this.#job(story, true));
    const all = [...this.#jobs, ...noise];
    this.#coming = options.calm ? all.reverse() : options.dice.shuffled(all);
  }

  /** The answers of every story, turn by turn; only when `done`. */
  get answers(): Answer[][] {
    return this.#jobs.map((job) => job.answers);
  }

  get done(): boolean {
    return this.#jobs.every((job) => job.answers.length === job.story.turns.length);
  }

  start(): void {
    this.#o.submit(this.#plan());
  }

  /** Hears an outcome, and may answer it with a plan. */
  hear(outcome: Outcome): void {
    for (const row of outcome.rows) this.#account(row);
    for (const job of this.#jobs) if (job.notBefore <= outcome.plan) job.notBefore = 0n;
    if (this.done) return;
    const { dice, calm } = this.#o;
    if (this.#held !== undefined) {
      this.#o.submit(this.#held);
      this.#held = undefined;
    } else if (outcome.last) {
      this.#o.submit(this.#plan());
    } else if (!calm && dice.chance(0.3)) {
      const plan = this.#plan();
      if (dice.chance(0.5)) this.#held = plan;
      else this.#o.submit(plan);
    }
    // A plan that replaces another before that one was adopted.
    if (!calm && this.#held === undefined && dice.chance(0.1)) this.#o.submit(this.#plan());
  }

  #job(story: Story, noise: boolean): Job {
    const job: Job = {
      story,
      noise,
      history: new History(),
      answers: [],
      burst: 0n,
      genStart: 0,
      generated: [],
      logits: [],
      logprobs: [],
      text: "",
      seat: undefined,
      live: false,
      notBefore: 0n,
      cuts: [],
    };
    this.#beginTurn(job);
    return job;
  }

  #beginTurn(job: Job): void {
    const turn = job.story.turns[job.answers.length];
    if (turn === undefined) return;
    job.history.append(true, turn.given);
    job.burst = ++this.#bursts;
    job.genStart = job.history.tokens.length;
    job.generated = [];
    job.logits = [];
    job.logprobs = [];
    job.text = "";
    this.#byBurst.set(job.burst, job);
  }

  #account({ burst, slot, length, sampled, text, finish, stop, logprobs }: RowOutcome): void {
    const job = this.#byBurst.get(burst);
    if (job === undefined) return;
    if (job.seat?.slot === slot) job.seat.length = length;
    job.history.append(false, sampled);
    job.generated.push(...sampled);
    job.logits.push(...this.#o.logits(slot, sampled.length));
    job.logprobs.push(...(logprobs?.tokens ?? []));
    job.text += text;
    job.live = job.seat !== undefined && (job.live || sampled.length > 0);
    if (finish === "") return;
    job.answers.push({
      tokens: job.generated,
      logits: job.logits,
      logprobs: job.logprobs,
      text: job.text,
      finish,
      stop,
    });
    this.#byBurst.delete(burst);
    this.#leave(job);
    this.#beginTurn(job);
    if (job.answers.length === job.story.turns.length) this.#forget(job);
  }

  /** The seat keeps the content, and the memory of what it is. */
  #leave(job: Job): void {
    if (job.seat !== undefined) job.seat.job = undefined;
    job.seat = undefined;
    job.live = false;
    job.cuts = [];
  }

  #forget(job: Job): void {
    this.#present.splice(this.#present.indexOf(job), 1);
    this.#byBurst.delete(job.burst);
  }

  #plan(): Plan {
    const { dice, calm } = this.#o;
    const steps = calm ? 1000 : dice.int(1, 6);
    const plan: Plan = {
      id: ++this.#plans,
      steps,
      gatherUs: 0,
      copies: [],
      saves: [],
      writes: [],
      reads: [],
      binds: [],
      rows: [],
      chunks: [],
    };
    if (calm) {
      if (this.#present.length === 0) this.#arrive();
    } else {
      while (dice.chance(0.3)) this.#arrive();
      this.#unseat(plan);
      this.#compact(plan);
    }
    this.#seat(plan);
    this.#serve(plan);
    return plan;
  }

  #arrive(): void {
    const job = this.#coming.pop();
    if (job !== undefined) this.#present.push(job);
  }

  /** Preempts some, cancels some of the noise. */
  #unseat(plan: Plan): void {
    const { dice } = this.#o;
    for (const seat of this.#seats) {
      const { job } = seat;
      if (job === undefined || !dice.chance(job.noise ? 0.1 : 0.08)) continue;
      this.#leave(job);
      job.notBefore = plan.id;
      if (dice.chance(0.3)) seat.length = dice.int(0, seat.length);
      // Without a bind the burst stays bound until another comes; it is just not served.
      if (dice.chance(0.7) || job.noise) {
        plan.binds.push({ slot: seat.slot, keep: seat.length, burst: undefined, loads: [] });
      }
      if (job.noise) this.#forget(job);
    }
  }

  /** Moves a running burst to another slot, as one does to close holes. */
  #compact(plan: Plan): void {
    const { dice } = this.#o;
    const from = dice.pick(this.#seats);
    const to = dice.pick(this.#seats);
    const free = to.job === undefined && !plan.binds.some(({ slot }) => slot === to.slot);
    if (from.job === undefined || !free || !dice.chance(0.3)) return;
    plan.copies.push({ fromSlot: from.slot, toSlot: to.slot, tokens: from.length });
    to.content = from.content;
    to.length = from.length;
    to.job = from.job;
    to.job.seat = to;
    from.job = undefined;
  }

  #seat(plan: Plan): void {
    const { dice, calm } = this.#o;
    for (const job of this.#present) {
      if (job.seat !== undefined || job.notBefore > 0n) continue;
      const taken = new Set(plan.binds.map(({ slot }) => slot));
      const moved = new Set(plan.copies.map(({ toSlot }) => toSlot));
      const free = this.#seats.filter(
        ({ job: other, slot }) => other === undefined && !taken.has(slot) && !moved.has(slot),
      );
      if (free.length === 0 || (!calm && dice.chance(0.3))) continue;
      const seat = calm ? this.#seats[0] : dice.pick(free);
      if (seat === undefined) continue;
      const keep = this.#reuse(plan, job, seat);
      seat.job = job;
      seat.content = job.history;
      seat.length = keep;
      job.seat = seat;
      const turn = job.story.turns[job.answers.length];
      if (turn === undefined) continue;
      plan.binds.push({
        slot: seat.slot,
        keep,
        burst: { ...turn.burst, id: job.burst, genStart: job.genStart },
        loads: [],
      });
    }
  }

  /** How much of the job's history is in the seat, or was brought there by a copy. */
  #reuse(plan: Plan, job: Job, seat: Seat): number {
    const { dice, calm } = this.#o;
    if (calm && seat.content !== job.history) return 0;
    if (calm) return job.history.cuts(seat.content, seat.length).at(-1) ?? 0;
    const own = this.#seats.filter(({ content }) => content === job.history);
    const source = dice.pick([seat, dice.pick(this.#seats), ...own]);
    const bound = plan.binds.some(({ slot }) => slot === source.slot);
    const cuts = job.history.cuts(source.content, source.length);
    if (bound || cuts.length === 0 || dice.chance(0.2)) return 0;
    const keep = dice.chance(0.5) ? (cuts.at(-1) ?? 0) : dice.pick(cuts);
    if (source !== seat) {
      plan.copies.push({ fromSlot: source.slot, toSlot: seat.slot, tokens: keep });
    }
    return keep;
  }

  /** Rows and chunks for those who have a seat. */
  #serve(plan: Plan): void {
    const { dice, calm } = this.#o;
    const prefills: { job: Job; at: number; end: number }[] = [];
    for (const { job, slot, length } of this.#seats) {
      if (job === undefined || (!calm && dice.chance(0.1))) continue;
      const { how, end } = job.history.feed(length);
      if (how === "prefill") {
        prefills.push({ job, at: length, end });
        continue;
      }
      const known = job.live && end === length + 1 && dice.chance(0.5);
      plan.rows.push({
        burst: job.burst,
        slot,
        forcedStart: known ? 0 : length,
        forced: known ? [] : job.history.tokens.slice(length, end),
        sample: end === job.history.tokens.length,
      });
    }
    while (plan.chunks.length < plan.steps) {
      const left = prefills.filter(({ at, end }) => at < end);
      if (left.length === 0) return;
      const next = dice.pick(left);
      this.#chunk(plan, next.job, next.at, next.end);
      next.at += plan.chunks.at(-1)?.tokens.length ?? 0;
    }
  }

  #chunk(plan: Plan, job: Job, at: number, end: number): void {
    if (!job.cuts.includes(end)) job.cuts = this.#cut(at, end);
    const to = job.cuts.find((cut) => cut > at) ?? end;
    plan.chunks.push({
      burst: job.burst,
      slot: job.seat?.slot ?? 0,
      start: at,
      tokens: job.history.tokens.slice(at, to),
      sample: to === job.history.tokens.length,
    });
  }

  /** Cut once and kept to: another cut, one outcome too late, could leave one token. */
  #cut(start: number, end: number): number[] {
    const { dice, calm } = this.#o;
    const cuts: number[] = [];
    for (let at = start; at < end; ) {
      const left = end - at;
      let size = calm ? left : Math.min(left, dice.int(2, dice.pick([4, 16, LONGEST_CHUNK])));
      if (left - size === 1) size = left <= 3 ? left : size === 2 ? 3 : size - 1;
      at += size;
      cuts.push(at);
    }
    return cuts;
  }
}
