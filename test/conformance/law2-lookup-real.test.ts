/** Guesses change no answer of the real model, and are often right where a text repeats itself. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { openLibrary } from "../../servers/llm/models/library.js";
import { lawSeed } from "./law2.js";
import { proveLookup } from "./law2-lookup.js";

const MODEL = "smollm2-135m-instruct";
const SEED = lawSeed();
const TEXT = new URL("../../bench/texts/tom-sawyer.txt", import.meta.url);

// As law2-real: `npm run test:law2`, and CI, which pulls the model.
const skip = process.env.CONTIX_LAW2 !== "real";

test.skipIf(skip)(
  `guesses change no answer of ${MODEL} with KV in int8, seed ${SEED}`,
  async () => {
    const library = openLibrary();
    await library.pull(MODEL);
    const text = (await readFile(TEXT, "utf8")).slice(2000, 2240);
    const { runs, guessed, right } = await proveLookup(
      await library.compiled(MODEL, { kv: "int8" }),
      {
        seed: SEED,
        source: text.repeat(8),
        count: 6,
        stops: [" the", ".", "\n", "ing"],
        longestGiven: 150,
        longestAnswer: 40,
        slotTokens: 1024,
        lookup: 6,
      },
    );
    console.log(`law2-lookup-real: ${runs} runs, ${right} of ${guessed} guesses right`);
    expect(right).toBeGreaterThan(0);
  },
  600_000,
);
