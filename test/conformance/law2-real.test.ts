/** Law 2 on the real model. */
import { readFile } from "node:fs/promises";
import { test } from "vitest";
import { openLibrary } from "../../servers/llm/models/library.js";
import { lawSeed, proveLaw2 } from "./law2.js";

const MODEL = "smollm2-135m-instruct";
const SEED = lawSeed();
const TEXT = new URL("../../bench/texts/tom-sawyer.txt", import.meta.url);

// Minutes of both cores: `npm run test:law2`, and CI, which pulls the model.
const skip = process.env.CONTIX_LAW2 !== "real";

test.skipIf(skip)(
  `a schedule never changes an answer of ${MODEL}, seed ${SEED}`,
  async () => {
    const library = openLibrary();
    await library.pull(MODEL);
    const begun = performance.now();
    await proveLaw2(await library.compiled(MODEL), {
      seed: SEED,
      source: (await readFile(TEXT, "utf8")).slice(0, 40_000),
      stops: [" the", ".", "\n", "ing"],
      longestGiven: 150,
      longestAnswer: 16,
      slotTokens: 1024,
    });
    console.log(`law2-real: ${Math.round((performance.now() - begun) / 1000)} s`);
  },
  600_000,
);
