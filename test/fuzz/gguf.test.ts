/**
 * Valid GGUF files with a few bytes changed, imported as a user would: either an error
 * that says what is wrong, when the model is imported or when it is opened, or a model
 * that tokenizes and computes. Never a crash, a hang, or more memory than such a small
 * model can need; and what is not imported leaves nothing in the library.
 *
 * CONTIX_FUZZ_RUNS says how many seeds, CONTIX_FUZZ_SEED where they begin.
 */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ContixError } from "../../proto/errno.js";
import { readGgufHeader } from "../../servers/llm/models/gguf/header.js";
import { type Library, openLibrary } from "../../servers/llm/models/library.js";
import { type FamilySpec, familyFile } from "../../servers/llm/models/testing/family-gguf.js";
import { FAMILY_SPECS } from "../../servers/llm/models/testing/family-specs.js";
import { ggufBytes } from "../../servers/llm/models/testing/gguf-writer.js";
import type { TypeName } from "../../servers/llm/models/testing/pack.js";
import { TestSession } from "../../servers/llm/models/testing/session.js";
import { uniform } from "../../servers/llm/models/tiny.js";
import { ModelText } from "../../servers/llm/text/model-text.js";

const RUNS = Number(process.env.CONTIX_FUZZ_RUNS ?? 50);
const FIRST_SEED = Number(process.env.CONTIX_FUZZ_SEED ?? 1);
/** A file that hangs is a failure: far beyond what so many take. */
const LIMIT_MS = 60_000 + RUNS * 3_000;
/** What a run may add to the most memory ever used; rotary tables of the longest window are in it. */
const MOST_GROWTH_KIB = 1 << 20;

const KINDS: readonly (readonly [string, TypeName])[] = [
  ["llama", "Q4_1"],
  ["qwen2", "Q8_0"],
  ["qwen3", "BF16"],
  ["gemma2", "F16"],
  ["gemma3", "F32"],
  ["llama", "Q6_K"],
];

interface ValidFile {
  readonly bytes: Buffer;
  /** Bytes before the tensors' data. */
  readonly head: number;
}

let dir: string;
let files: readonly ValidFile[];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "contix-fuzz-"));
  files = await validFiles();
});
afterAll(() => rm(dir, { recursive: true }));

it(
  "imports a damaged file as a working model, or says what is wrong",
  async () => {
    const library = openLibrary(join(dir, "models"), []);
    const before = process.resourceUsage().maxRSS;
    let imported = 0;
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      try {
        if (await survives(library, seed)) imported++;
        expect(process.resourceUsage().maxRSS - before).toBeLessThan(MOST_GROWTH_KIB);
      } catch (cause) {
        throw new Error(`CONTIX_FUZZ_SEED=${seed} CONTIX_FUZZ_RUNS=1: ${cause}`, { cause });
      }
    }
    expect(await library.list()).toEqual([]);
    // Else the damage is too great, or too small, to show anything.
    if (RUNS >= 50) expect(imported).toBeGreaterThan(RUNS / 10);
    if (RUNS >= 50) expect(imported).toBeLessThan(RUNS);
  },
  LIMIT_MS,
);

/** Whether the damaged file of a seed gave a model; if so, the model works. */
async function survives(library: Library, seed: number): Promise<boolean> {
  const path = join(dir, "damaged.gguf");
  await writeFile(path, damaged(seed));
  if (await refused(library.importFile(path, { name: "damaged" }))) return false;
  const unusable = await refused(use(await library.compiled("damaged")));
  await library.remove("damaged");
  return !unusable;
}

/** Whether it ended with a typed error of a size for people. */
async function refused(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    if (!(error instanceof ContixError)) throw error;
    expect(error.code, error.message).toBe("EMODEL");
    expect(error.message.length).toBeLessThan(2_000);
    return true;
  }
}

/** Enters a text, as the driver would. */
async function use(compiled: string): Promise<void> {
  const text = await ModelText.open(compiled);
  const tokens = text.encode("Who is there?", { special: true, start: true });
  const session = await TestSession.open(compiled);
  session.reset(tokens.length + 1);
  const [logits] = await session.enter(tokens);
  expect(logits).toHaveLength(session.config.vocab);
}

/** One of the valid files with 1 to 4 bytes changed, two thirds of them in its head. */
function damaged(seed: number): Buffer {
  const draw = uniform(`fuzz ${seed}`);
  const below = (n: number) => Math.floor(draw() * n);
  const file = files[below(files.length)];
  if (!file) throw new Error("there is no valid file");
  const bytes = Buffer.from(file.bytes);
  for (let flips = 1 + below(4); flips > 0; flips--) {
    const at = below(3) < 2 ? below(file.head) : below(bytes.length);
    bytes[at] = below(2) === 0 ? below(256) : (bytes[at] ?? 0) ^ (1 << below(8));
  }
  return bytes;
}

/** Of every architecture one, of every kind of tensor type one. */
async function validFiles(): Promise<ValidFile[]> {
  const specs = KINDS.map(([family, type]): FamilySpec => {
    const spec = FAMILY_SPECS[family];
    if (!spec) throw new Error(`there is no family ${family}`);
    // K types pack 256 values of a row.
    const wide = { ...spec.shape, hidden: 256, headDim: 64, ffn: 256 };
    return { ...spec, type, ...(type.endsWith("K") && { shape: wide }) };
  });
  return Promise.all(specs.map(async (spec) => valid(ggufBytes(await familyFile(spec)))));
}

/** A file and where its head ends. */
async function valid(bytes: Buffer): Promise<ValidFile> {
  const path = join(dir, `valid-${randomUUID()}.gguf`);
  await writeFile(path, bytes);
  const { tensors } = await readGgufHeader(path);
  await rm(path);
  return { bytes, head: Math.min(...[...tensors.values()].map(({ offset }) => offset)) };
}
