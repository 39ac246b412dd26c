/** Log probabilities through the executor: what is told, and that nothing is unless asked for. */
import { expect, test } from "vitest";
import { type Burst, type Outcome, RowOutcome } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Detokenizer } from "../text/server.js";
import { Executor } from "./executor.js";
import type { DecodeRow } from "./model.js";
import { HashModel, letters } from "./testing/hash-model.js";
import { bind, burst, planOf } from "./testing/plans.js";

const VOCAB = 64;
const PROMPT = [10, 11, 12, 13];
/** Penalties so strong that the token they leave is seldom the model's own choice. */
const DRAWN = { temperature: 1.3, seed: 7n, repetitionPenalty: 3, presencePenalty: 2 };

/** A model that notes the logits it gives, before anybody changes them. */
class Noting extends HashModel {
  readonly given: number[][] = [];

  override async prefill(...args: Parameters<HashModel["prefill"]>) {
    const logits = await super.prefill(...args);
    if (logits !== undefined) this.given.push([...logits]);
    return logits;
  }

  override async decode(rows: readonly DecodeRow[]) {
    const logits = await super.decode(rows);
    this.given.push(...logits.map((row) => [...row]));
    return logits;
  }
}

/** What is said of one burst, alone on a fresh model. */
async function rowsOf(
  fields: Partial<Burst>,
  detokenizer: () => Detokenizer = letters,
): Promise<{ rows: RowOutcome[]; model: Noting }> {
  const model = new Noting({ slots: 1, slotTokens: 64, vocab: VOCAB, eosIds: [] });
  const outcomes: Outcome[] = [];
  const executor = new Executor({
    model,
    detokenizer,
    nowUs: () => 0,
    report: (outcome) => {
      outcomes.push(outcome);
      if (outcome.last) executor.stop();
    },
  });
  const chunk = { burst: 1n, slot: 0, start: 0, tokens: PROMPT, sample: true };
  const binds = [bind(0, 0, { burst: burst({ maxTokens: 20, ...fields }) })];
  executor.submit(planOf(1n, { steps: 64, gatherUs: 1e9, binds, chunks: [chunk] }));
  await executor.run();
  return { rows: outcomes.flatMap(({ rows }) => rows), model };
}

const tokensOf = (rows: readonly RowOutcome[]) => rows.flatMap(({ sampled }) => sampled);
const toldOf = (rows: readonly RowOutcome[]) => rows.flatMap((row) => row.logprobs?.tokens ?? []);

function logSoftmax(logits: readonly number[]): number[] {
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - total);
}

test("are the model's own, of each sampled token, whatever sampling makes of its logits", async () => {
  const { rows, model } = await rowsOf({ ...DRAWN, logprobs: 3 });
  const told = toldOf(rows);
  expect(told.map(({ token }) => token)).toEqual(tokensOf(rows));
  expect(told).toHaveLength(20);
  // Steps were gathered, and each row has those of its own tokens.
  expect(rows.length).toBeLessThan(told.length);
  for (const { sampled, logprobs } of rows) expect(logprobs?.tokens).toHaveLength(sampled.length);
  for (const [i, { token, logprob, top }] of told.entries()) {
    const want = logSoftmax(model.given[i] ?? []);
    expect(logprob).toBeCloseTo(want[token] ?? Number.NaN, 9);
    const best = [...want].sort((a, b) => b - a).slice(0, 3);
    expect(top.map((one) => want[one.token])).toEqual(best);
    for (const [rank, one] of top.entries()) {
      expect(one.logprob).toBeCloseTo(best[rank] ?? Number.NaN, 9);
    }
  }
  expect(told.some(({ token, top }) => top[0]?.token !== token)).toBe(true);
});

test("name the bytes of each token", async () => {
  const { rows } = await rowsOf({ logprobs: 1 });
  for (const { token, bytes, special, top } of toldOf(rows)) {
    expect([...bytes]).toEqual([97 + (token % 16)]);
    expect(special).toBe("");
    // Greedy: the token is the likeliest one.
    expect(top).toMatchObject([{ token, bytes }]);
  }
});

test("change no token", async () => {
  for (const fields of [{}, DRAWN]) {
    const { rows } = await rowsOf(fields);
    for (const logprobs of [0, 1, 20]) {
      const told = await rowsOf({ ...fields, logprobs });
      expect(tokensOf(told.rows)).toEqual(tokensOf(rows));
    }
  }
});

test("without alternatives are of the sampled tokens alone", async () => {
  const { rows } = await rowsOf({ logprobs: 0 });
  expect(toldOf(rows)).toHaveLength(20);
  for (const { top } of toldOf(rows)) expect(top).toEqual([]);
});

test("are not looked for and not sent when nobody asks", async () => {
  const silent = (): Detokenizer => ({
    ...letters(),
    piece: () => {
      throw new Error("nobody asked for this token");
    },
  });
  const { rows } = await rowsOf(DRAWN, silent);
  expect(tokensOf(rows)).toHaveLength(20);
  for (const row of rows) {
    expect(row.logprobs).toBeUndefined();
    expect(RowOutcome.decode(RowOutcome.encode(row).finish()).logprobs).toBeUndefined();
  }
  await expect(rowsOf({ ...DRAWN, logprobs: 0 }, silent)).rejects.toThrow("nobody asked");
});
