/**
 * The models that are served, by name. Each has an engine, a queue and a driver
 * of its own; what they share is the memory budget.
 */
import { ContixError } from "../../proto/errno.js";
import type { Context } from "../journal/journal.js";
import type { Wait } from "../mm/eviction/policy.js";
import { makeRoom } from "./budget.js";
import type { Engine } from "./engine.js";
import { ServedModel, type ServedModelParts } from "./served-model.js";

/** Names that are remembered; others are looked up again. */
const NAMES = 1024;

export interface EnginesParts extends Omit<ServedModelParts, "makeRoom" | "onState"> {
  /** Bytes that all drivers together may take. */
  readonly memoryBudget: number;
}

export class Engines {
  readonly memoryBudget: number;
  readonly #parts: ServedModelParts;
  readonly #byName = new Map<string, ServedModel>();
  /** What models were called, aliases and digests too, and which that is. */
  readonly #meant = new Map<string, ServedModel>();
  /** Hears that a model's state may have changed. */
  onState: (model: ServedModel) => void = () => {};

  constructor({ memoryBudget, ...parts }: EnginesParts) {
    this.memoryBudget = memoryBudget;
    this.#parts = {
      ...parts,
      makeRoom: (model, bytes) => this.#makeRoom(model, bytes),
      onState: (model) => this.onState(model),
    };
  }

  get memoryUsed(): number {
    return this.all.reduce((sum, { memory }) => sum + memory, 0);
  }
  /** Every model that somebody has asked for. */
  get all(): ServedModel[] {
    return [...this.#byName.values()];
  }
  /** The engines of those that have run. */
  get running(): Engine[] {
    return this.all.flatMap(({ engine }) => engine ?? []);
  }
  /** What a call gets that names no model. */
  get default(): ServedModel {
    const model = this.#meant.get(this.#parts.config.model);
    if (!model) throw new ContixError("EIO", "the kernel has not started");
    return model;
  }
  /** The default's engine: its driver was ready before the kernel was. */
  get defaultEngine(): Engine {
    return engineOf(this.default);
  }

  /** Starts the drivers of the default model and of those to be there from the start. */
  async load(names: readonly string[]): Promise<void> {
    const started = names.map(async (name) => {
      const model = await this.find(name);
      using _ = model.hold();
      await model.up();
    });
    await Promise.all(started);
  }

  /** The model of a name; "" is the default. EMODEL when there is none. */
  async find(name: string): Promise<ServedModel> {
    if (name === "") return this.default;
    const known = this.#byName.get(name) ?? this.#meant.get(name) ?? this.#ofDigest(name);
    if (known) return known;
    const canonical = await this.#parts.library.resolve(name);
    let model = this.#byName.get(canonical);
    if (!model) {
      model = new ServedModel(canonical, this.#parts);
      this.#byName.set(canonical, model);
    }
    // A name can be written in more ways than are worth remembering.
    if (this.#meant.size < NAMES) this.#meant.set(name, model);
    return model;
  }

  /** The model that a context belongs to. */
  modelOf(context: Pick<Context, "model" | "engine">): ServedModel {
    const model = this.#byName.get(context.model);
    if (model?.engine?.ready.engineDigest === context.engine) return model;
    const message = `the context was made by the engine ${context.engine} of ${context.model}, which does not run here`;
    throw new ContixError("EXDEV", message, { argument: "handle" });
  }

  /** The context's process said when it will be back. */
  waits({ cid, model }: Pick<Context, "cid" | "model">, wait: Wait, now: number): void {
    this.#byName.get(model)?.engine?.placer.waits(cid, wait, now);
  }

  /** The context was cut: only the KV of its first `tokens` is still as its history says. */
  cut({ cid, model }: Pick<Context, "cid" | "model">, tokens: number): void {
    this.#byName.get(model)?.engine?.placer.cutContext(cid, tokens);
  }

  /** The context's history, or its pin, is another than it was: its pages are. */
  walk({ cid, model }: Pick<Context, "cid" | "model">): void {
    this.#byName.get(model)?.engine?.placer.walk(cid);
  }

  /** Pages of the model that have room in RAM; 0: none, or it has not run yet. */
  framesOf(model: string): number {
    return this.#byName.get(model)?.engine?.placer.pool.frames.count ?? 0;
  }

  /** `to` begins as a copy of `from`, or of its first tokens: it has the same pages. */
  forked(from: Pick<Context, "cid" | "model">, to: bigint): void {
    this.#byName.get(from.model)?.engine?.placer.forked(from.cid, to);
  }

  /** The context is gone: its slot is free. */
  drop({ cid, model }: Pick<Context, "cid" | "model">): void {
    this.#byName.get(model)?.engine?.placer.dropContext(cid, this.#parts.clock.now());
  }

  /** The engine that a context belongs to. */
  of(context: Pick<Context, "model" | "engine">): Engine {
    return engineOf(this.modelOf(context));
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((model) => model.close()));
  }

  async #makeRoom(model: ServedModel, bytes: number): Promise<void> {
    const tenants = this.all.filter(({ memory }) => memory > 0);
    const going = makeRoom(model.name, bytes, this.memoryBudget, tenants);
    // Set aside at once, so that nobody else takes it while those who go are ending.
    model.memory = bytes;
    for (const { name } of going) {
      this.#parts.log.info({ model: name, for: model.name }, "driver stopped for its memory");
    }
    await Promise.all(going.map((tenant) => tenant.rest()));
  }

  #ofDigest(digest: string): ServedModel | undefined {
    return this.all.find(({ engine }) => engine?.ready.engineDigest === digest);
  }
}

function engineOf({ engine, name }: ServedModel): Engine {
  if (!engine) throw new ContixError("EIO", `the model ${name} has not run yet`);
  return engine;
}
