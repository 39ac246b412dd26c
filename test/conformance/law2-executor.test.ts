/**
 * Law 2 for the executor alone, on a model that is a hash: its logits depend on every
 * token in the slot and on the way each came in, so whatever the executor loses, doubles
 * or enters in another way changes the answer.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { HashModel, letters } from "../../servers/llm/engine/testing/hash-model.js";
import { alone, expectSame, stories, together } from "./law2.js";
import { Dice } from "./law2-story.js";

const SHAPE = { slots: 6, slotTokens: 1024, vocab: 64, eosIds: [3, 5] };
const SOURCE = Array.from({ length: 600 }, (_, i) => (i * i + 7 * i) % SHAPE.vocab);

test("a schedule of dice gives the tokens and the text that each story has alone", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
      const dice = new Dice(seed);
      const options = {
        source: SOURCE,
        stops: ["a", "bc", "dea", "kkk"],
        longestGiven: 150,
        longestAnswer: 30,
      };
      const told = stories(dice, { ...options, count: 16 });
      const noise = stories(dice, { ...options, count: 6 });
      const subject = () => ({ model: new HashModel(SHAPE), detokenizer: letters });
      const want = await alone(subject(), told);
      expect(want.flat().length).toBe(told.flatMap(({ turns }) => turns).length);
      expectSame(seed, told, want, await together(subject(), told, noise, dice));
    }),
    { numRuns: 100 },
  );
});
