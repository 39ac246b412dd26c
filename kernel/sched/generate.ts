/** llm.generate: from the arguments to a burst, and from its tokens to the caller. */
import { ContixError } from "../../proto/errno.js";
import { type CtxEdit, GenerateCall, type TokenLogprob } from "../../proto/gen/contix/v1/calls.js";
import type { Usage } from "../../proto/gen/contix/v1/kernel.js";
import { argumentsOf } from "../args.js";
import { type Call, NO_USAGE } from "../call.js";
import type { Reservation } from "../cap/rates/rates.js";
import { modelNamed } from "../engines/calls.js";
import type { Engine } from "../engines/engine.js";
import type { ServedModel } from "../engines/served-model.js";
import type { Context } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import type { Kernel } from "../kernel.js";
import { nextCid } from "../mm/calls.js";
import { openingTokens, tokenizeInput } from "../mm/input.js";
import { afterChange, beforeEdit, toCtxEdit } from "../mm/overflow/events.js";
import {
  answerRoom,
  type Ending,
  type Fitted,
  filedBy,
  fit,
  type Tokenized,
} from "../mm/overflow/pager.js";
import { openingPart } from "../mm/overflow/parts.js";
import { pagerPorts } from "../mm/overflow/ports.js";
import type { Account } from "../proc/accounts.js";
import type { Done } from "./admission.js";
import { Answer } from "./answer.js";
import type { Burst, BurstEnd, BurstListener, BurstSpec, SamplingSpec } from "./burst.js";
import { type ChunkPorts, ChunkStream } from "./chunk-stream.js";
import { checkLogprobs, checkSampling, checkStops } from "./generate-args.js";
import { Place } from "./place.js";
import { costOf } from "./policy.js";
import { watchPrefill } from "./prefill-progress.js";

export async function generate(kernel: Kernel, call: Call): Promise<void> {
  const args = argumentsOf(call, "generate");
  const sampling = checkSampling(kernel, args.sampling);
  checkStops(kernel, args.stop);
  checkLogprobs(args.logprobs);
  const model = await modelFor(kernel, call, args.model);
  call.check();
  const place = new Place(model.admission, kernel.clock, call.process);
  const generation = new Generation(kernel, call, args, { model, place });
  try {
    await generation.start(sampling);
  } catch (error) {
    generation.abandon();
    throw error;
  }
}

/** The context's model, or, without one, the model of that name. EXDEV when both are given and differ. */
async function modelFor(kernel: Kernel, call: Call, name: string): Promise<ServedModel> {
  const { engines } = kernel;
  if (!call.context) return engines.find(modelNamed(call, name));
  const own = engines.modelOf(call.context);
  if (name !== "" && (await engines.find(name)) !== own) {
    const message = `the context belongs to ${own.name}; ${name} can not go on with it`;
    throw new ContixError("EXDEV", message, { argument: "model" });
  }
  return own;
}

/** One generation: the listener of its burst, and the writer of its chunks and reply. */
class Generation implements BurstListener {
  readonly #kernel: Kernel;
  readonly #call: Call;
  readonly #args: GenerateCall;
  readonly #model: ServedModel;
  readonly #place: Place;
  /** Its model's driver runs, or is to run, until this is given back. */
  readonly #hold: Disposable;
  #engine: Engine | undefined;
  #context: Context | undefined;
  #lock: Disposable | undefined;
  /** What it may write is set aside in the quotas. */
  #room: Disposable | undefined;
  /** And in its principal's tokens in all. */
  #budget: Reservation | undefined;
  #burst: Burst | undefined;
  #seed = 0n;
  /** What was moved out of the context for it. */
  #edit: CtxEdit | undefined;
  readonly #answer: Answer;
  #progress: Disposable | undefined;
  /** Of a caller who reads along. */
  readonly #stream: ChunkStream | undefined;
  #attached = true;
  #left = false;

  constructor(
    kernel: Kernel,
    call: Call,
    args: GenerateCall,
    { model, place }: { readonly model: ServedModel; readonly place: Place },
  ) {
    this.#kernel = kernel;
    this.#call = call;
    this.#args = args;
    this.#model = model;
    this.#place = place;
    this.#hold = model.hold();
    this.#answer = new Answer(args.logprobs !== undefined);
    this.#stream = args.stream ? this.#openStream(call.syscall.credit) : undefined;
    call.onEnd((error) => this.#stop(error));
    call.onCredit((n) => this.#stream?.give(n));
    call.onAttachment((attached) => this.#attachment(attached));
    call.onStopped(() => this.#regulate());
  }

  async start(sampling: Omit<SamplingSpec, "seed"> & { seed: bigint }): Promise<void> {
    const { journal, clock } = this.#kernel;
    const call = this.#call;
    if (call.context) this.#lockContext(call.context);
    const askedAt = clock.now();
    const engine = await this.#model.upFor(call);
    const waitedUs = clock.now() - askedAt;
    this.#engine = engine;
    const context = call.context ?? this.#openContext(engine);
    const { input, edit } = await this.#fit(engine, context);
    call.check();
    if (engine.driver.failure) throw engine.driver.failure;
    const before = edit ? edit.from + edit.tokens.length : context.tokens.length;
    const length = before + input.tokens.length;
    const most = this.#args.maxTokens === 0 ? Number.POSITIVE_INFINITY : this.#args.maxTokens;
    const maxTokens = Math.min(most, engine.ready.slotTokens - length);
    if (call.context) {
      const until = length + maxTokens;
      this.#room = this.#kernel.quotas.reserve(context, until, filedBy(edit));
    }
    this.#budget = this.#kernel.rates.reserve(call.process, input.tokens.length + maxTokens);
    // Nothing can fail from here on: a call that failed has left the context as it was.
    if (input.tokens.length > 0 || edit) {
      this.#budget.charge(input.tokens.length);
      this.#account().tokensIn += input.tokens.length;
      const given = { type: "ctx.given" as const, cid: context.cid, ...input };
      journal.append(...beforeEdit(this.#kernel, context, edit), given);
      this.#edit = toCtxEdit(edit);
      afterChange(this.#kernel, context, edit);
    }
    const genStart = context.tokens.length;
    const { pid, principal, session, class: rank } = call.process;
    const spec: BurstSpec = {
      ...{ pid, cid: context.cid, principal, program: session, class: rank },
      genStart,
      maxTokens,
      sampling,
      stop: this.#args.stop,
      ignoreEos: this.#args.ignoreEos,
      logprobs: this.#args.logprobs,
    };
    this.#seed = sampling.seed;
    journal.append({
      type: "call.generate",
      pid,
      run: call.run,
      seq: call.syscall.seq,
      cid: context.cid,
      genStart,
      seed: sampling.seed,
      engine: engine.ready.engineDigest,
      sampling,
      call: GenerateCall.encode(this.#args).finish(),
    });
    const now = clock.now();
    this.#burst = engine.sched.enqueue(spec, this, call.process.nice, call.arrivedAt, now);
    this.#burst.queuedUs += waitedUs;
    call.waitingOn = "slot";
    if (this.#args.progress) this.#watchPrefill(engine, spec);
    this.#regulate();
  }

  /** Gives back what `start` took, when it could not finish. */
  abandon(): void {
    this.#kernel.journal.append(...this.#leave());
  }

  progress(tokens: readonly number[], text: string, logprobs?: readonly TokenLogprob[]): void {
    this.#progress?.[Symbol.dispose]();
    this.#answer.add(tokens, text, logprobs);
    this.#budget?.charge(tokens.length);
    this.#account().tokensOut += tokens.length;
    this.#stream?.add(text, tokens, logprobs);
  }

  end(end: BurstEnd): void {
    const effects = this.#leave();
    const usage = this.#usage();
    if (end.kind === "failed") this.#call.fail(end.error, usage, effects);
    else {
      this.#stream?.finish();
      const { finish, stop } = end;
      const value = { ...this.#answer.written, finish, seed: this.#seed, stop, edit: this.#edit };
      this.#call.done({ $case: "generate", value }, effects, usage);
    }
    this.#watchMark();
  }

  /** What was written stays, however the generation ended. */
  #watchMark(): void {
    if (this.#burst && this.#call.context) afterChange(this.#kernel, this.#call.context);
  }

  #openContext({ model, ready }: Engine): Context {
    const { journal } = this.#kernel;
    const cid = nextCid(this.#kernel);
    const owner = this.#call.process.pid;
    const engine = ready.engineDigest;
    journal.append({ type: "ctx.created", cid, owner, handle: 0, model, engine });
    const context = journal.state.contexts.get(cid);
    if (!context) throw new ContixError("EIO", "a context vanished");
    this.#lockContext(context);
    return context;
  }

  #lockContext(context: Context): void {
    this.#lock = this.#kernel.life.lock(context);
    this.#context = context;
  }

  /** What the call gives to the context, and the room that is made for it and for its answer. */
  #fit(engine: Engine, context: Context): Promise<Fitted> {
    return fit(pagerPorts(this.#kernel, this.#call, engine), context, {
      tokenize: (ending) => this.#tokenize(engine, ending),
      answer: answerRoom(this.#args.maxTokens, engine.ready.slotTokens),
    });
  }

  /** The input, and the assistant's turn opened after whole chat turns. */
  async #tokenize(engine: Engine, ending: Ending): Promise<Tokenized> {
    const input = await tokenizeInput(engine, ending, this.#args.input);
    if (ending.tokens.length + input.tokens.length === 0) {
      throw new ContixError("EINVAL", "the prompt is empty", { argument: "prompt" });
    }
    if (input.tail !== "closed" || !engine.ready.chat) return input;
    this.#call.check();
    const opening = await openingTokens(engine);
    const tokens = [...input.tokens, ...opening];
    return {
      tokens,
      tail: "assistant",
      parts: [...(input.parts ?? []), openingPart(opening.length)],
    };
  }

  #stop(error: ContixError): void {
    const effects = this.#leave();
    this.#call.fail(error, this.#burst ? this.#usage() : NO_USAGE, effects);
    this.#watchMark();
  }

  /** Ends everything that runs for this call; returns the records of that. */
  #leave(): JournalRecord[] {
    if (this.#left) return [];
    this.#left = true;
    if (this.#burst) {
      this.#engine?.placer.release(this.#burst);
      this.#engine?.sched.remove(this.#burst, this.#kernel.clock.now());
      this.#bookTime(this.#burst);
    }
    this.#progress?.[Symbol.dispose]();
    this.#stream?.stop();
    this.#lock?.[Symbol.dispose]();
    this.#room?.[Symbol.dispose]();
    this.#budget?.[Symbol.dispose]();
    this.#hold[Symbol.dispose]();
    this.#place.leave(this.#burst && doneOf(this.#burst));
    const context = this.#context;
    if (!context || this.#call.context) return [];
    // The context of a call without a handle ends with the call.
    return [this.#kernel.life.close(context)];
  }

  #watchPrefill({ placer }: Engine, { cid, genStart }: BurstSpec): void {
    const resident = (): number => placer.table.of(cid)?.resident ?? 0;
    const tell = (tokens: number, of: number): void => this.#call.prefilled(tokens, of);
    this.#progress = watchPrefill(this.#kernel.clock, genStart, resident, tell);
  }

  #account(): Account {
    return this.#kernel.accounts.of(this.#call.process.pid);
  }

  #bookTime(burst: Burst): void {
    const account = this.#account();
    account.queuedUs += burst.queuedUs;
    account.servedUs += burst.servedUs;
  }

  #openStream(credit: number): ChunkStream {
    const { clock, chunkRate } = this.#kernel;
    const send: ChunkPorts["send"] = (...what) => this.#call.chunk(...what);
    return new ChunkStream({ clock, chunkRate, send, onAble: () => this.#regulate() }, credit);
  }

  #attachment(attached: boolean): void {
    this.#attached = attached;
    if (this.#stream) this.#stream.attachment(attached);
    else this.#regulate();
  }

  /** A burst competes for a slot only while somebody can take what it makes, and wants it. */
  #regulate(): void {
    if (!this.#burst) return;
    const now = this.#kernel.clock.now();
    const able = (this.#stream?.able ?? this.#attached) && !this.#call.process.stopped;
    if (able) this.#engine?.sched.resume(this.#burst, now);
    else this.#engine?.sched.pause(this.#burst, now);
    this.#place.read(able);
    this.#call.waitingOn = able ? "slot" : "credit";
  }

  #usage(): Usage {
    const burst = this.#burst;
    if (!burst) throw new ContixError("EIO", "a generation ended before it began");
    const first = burst.firstTokenAt === 0 ? 0 : burst.firstTokenAt - burst.arrivedAt;
    return {
      promptTokens: burst.spec.genStart,
      cachedTokens: Math.max(0, burst.cached),
      generatedTokens: this.#answer.length,
      recomputedTokens: burst.recomputed,
      queuedUs: BigInt(burst.queuedUs),
      servedUs: BigInt(burst.servedUs),
      firstTokenUs: BigInt(first),
      left: [],
    };
  }
}

/** What the burst was, for those who ask how long others take. */
function doneOf({ attained, entered, cached, servedUs }: Burst): Done {
  const given = Math.max(0, entered - Math.max(0, cached));
  return { work: costOf({ given, generated: attained }), servedUs };
}
