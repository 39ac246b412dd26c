/** Guesses change no answer, for the executor alone, on a model that is a hash. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { HashModel, letters } from "../../servers/llm/engine/testing/hash-model.js";
import { alone, expectSame, stories, together } from "./law2.js";
import { Tally } from "./law2-lookup.js";
import { Dice } from "./law2-story.js";

test("whatever is guessed, each story is the one that decode alone tells", async () => {
  const tally = new Tally();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
      const dice = new Dice(seed);
      // Few tokens, so that a guess is often right by chance.
      const shape = { slots: 3, slotTokens: dice.pick([60, 300]), vocab: 5, eosIds: [3] };
      const lookup = dice.int(1, 9);
      const options = {
        source: Array.from({ length: 100 }, (_, i) => (i * i) % 5),
        stops: ["a", "bc", "ceb", "bbb"],
        longestGiven: 30,
        longestAnswer: 40,
      };
      const told = stories(dice, { ...options, count: 8 }).filter(fits(shape.slotTokens));
      const model = () => new HashModel({ ...shape, lookup });
      const subject = { detokenizer: letters, lookup };
      const want = await alone({ ...subject, model: model(), lookup: 0 }, told);
      expectSame(seed, told, want, await alone({ ...subject, model: tally.of(model()) }, told));
      expectSame(seed, told, want, await together({ ...subject, model: model() }, told, [], dice));
    }),
    { numRuns: 150 },
  );
  expect(tally.right).toBeGreaterThan(100);
  expect(tally.guessed - tally.right).toBeGreaterThan(100);
});

/** Whether all given tokens and one more fit a slot, if every answer is as long as it may be. */
function fits(slotTokens: number) {
  return ({ turns }: ReturnType<typeof stories>[number]): boolean => {
    let length = 0;
    for (const { given, burst } of turns) {
      if (length + given.length >= slotTokens) return false;
      length += given.length + burst.maxTokens;
    }
    return true;
  };
}
