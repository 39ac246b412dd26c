/** A model that says what it is told, and short ways to write plans for it. */
import type { Burst, Outcome, Plan } from "../../../../proto/gen/contix/driver/v1/llm.js";
import { Executor } from "../executor.js";
import type { Model } from "../model.js";
import { HashModel, letters } from "./hash-model.js";
import { burst as anyBurst, planOf } from "./plans.js";

export const SHAPE = { slots: 4, slotTokens: 32, vocab: 64, eosIds: [60, 61] };

/** A model that goes on with script[position], whatever it was given. */
export class ScriptModel extends HashModel implements Model {
  readonly #script: readonly number[];

  constructor(script: readonly number[], oneWay = false) {
    super({ ...SHAPE, oneWay });
    this.#script = script;
  }

  override async prefill(slot: number, start: number, tokens: readonly number[], want: boolean) {
    await super.prefill(slot, start, tokens, want);
    return want ? this.#at(start + tokens.length) : undefined;
  }

  override async decode(rows: Parameters<Model["decode"]>[0]) {
    await super.decode(rows);
    return rows.filter((row) => row.wantLogits).map(({ position }) => this.#at(position + 1));
  }

  #at(position: number): Float32Array {
    const logits = new Float32Array(SHAPE.vocab);
    logits[this.#script[position] ?? 1] = 1;
    return logits;
  }
}

const burst = (fields: Partial<Burst> = {}): Burst => anyBurst({ ignoreEos: false, ...fields });

let plans = 0n;
export const plan = (fields: Partial<Plan>): Plan => planOf(++plans, fields);

export const PROMPT = [10, 11, 12, 13];
export const bind = (slot: number, keep: number, of?: Partial<Burst>) => ({
  slot,
  keep,
  burst: of === undefined ? undefined : burst(of),
  loads: [],
});
export const chunk = (slot: number, fields = {}) => ({
  burst: 1n,
  slot,
  start: 0,
  tokens: PROMPT,
  sample: true,
  ...fields,
});
export const row = (slot: number, fields = {}) => ({
  burst: 1n,
  slot,
  forcedStart: 0,
  forced: [] as number[],
  sample: true,
  ...fields,
});

/** Runs `plans`, each when the one before has run out; resolves with all outcomes. */
export async function run(model: HashModel, ...plans: Plan[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const rest = [...plans];
  const next = (): void => {
    const plan = rest.shift();
    if (plan === undefined) executor.stop();
    else executor.submit(plan);
  };
  const executor = new Executor({
    model,
    detokenizer: letters,
    nowUs: () => 0,
    report: (outcome) => {
      outcomes.push(outcome);
      if (outcome.last) next();
    },
  });
  next();
  await executor.run();
  return outcomes;
}
