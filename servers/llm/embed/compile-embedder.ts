/** Makes the directory of an embedding model one that `openEmbedder` opens. */
import { createHash } from "node:crypto";
import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import { COMPILED_FILES } from "../models/compiled.js";
import { stageDirectory } from "../models/staging.js";
import { digestsOf, type PlaceOptions, place, progressOver } from "../onnx-export/place-files.js";
import { CompiledEmbedder, embedderDigest, readCompiledEmbedder } from "./compiled-embedder.js";
import { openEmbedder } from "./embedder.js";
import { type EmbedderFacts, inspectEmbedder } from "./inspect-embedder.js";

export interface CompileEmbedderOptions extends PlaceOptions {
  readonly name: string;
  readonly license?: string | undefined;
  /** Which of several graphs, a path in the directory; by default the most exact. */
  readonly graph?: string | undefined;
  /**
   * The name of the content, sha256, from a caller who knows that its files never change;
   * they are linked then, and not read. By default a digest of all that matters.
   */
  readonly weightsDigest?: string | undefined;
}

/**
 * The directory below `parent` of the compiled form of the embedding model in `dir`; made
 * if it is not there.
 * @throws ContixError EMODEL that says why it can not be run; ENOSPC
 */
export async function compileEmbedder(
  dir: string,
  parent: string,
  options: CompileEmbedderOptions,
): Promise<string> {
  const facts = await inspectEmbedder(dir, options.graph);
  const progress = await progressOver(facts.files, options);
  const sealed = options.weightsDigest !== undefined;
  const digests = sealed ? new Map<string, string>() : await digestsOf(facts.files, progress);
  const weightsDigest = options.weightsDigest ?? contentDigest(facts, digests);
  const engineDigest = embedderDigest(weightsDigest);
  const target = join(parent, engineDigest);
  if (await isWhole(target)) return target;
  if (await stat(target).catch(() => undefined)) await rm(target, { recursive: true, force: true });
  await stageDirectory(target, async (staging) => {
    for (const file of facts.files) {
      await place(file, staging, digests.get(file.name), progress);
    }
    const { name, license = "unknown" } = options;
    await fill(staging, facts, { name, license, weightsDigest, engineDigest });
  });
  return target;
}

async function fill(
  staging: string,
  facts: EmbedderFacts,
  identity: Pick<CompiledEmbedder, "name" | "license" | "weightsDigest" | "engineDigest">,
): Promise<void> {
  const { built, graph, files, tokenizer } = facts;
  if (built !== undefined) await writeFile(join(staging, graph), built);
  await writeFile(join(staging, COMPILED_FILES.tokenizer), JSON.stringify(tokenizer));
  const names = [graph, ...files.map(({ name }) => name)];
  const config = CompiledEmbedder.parse({
    ...facts,
    ...identity,
    format: 1,
    adapter: "embedder",
    bosId: null,
    addBos: false,
    eosIds: [],
    chatTemplate: null,
    files: [...new Set(names)],
  });
  const text = `${JSON.stringify(config, null, 2)}\n`;
  await writeFile(join(staging, COMPILED_FILES.config), text);
  await tryOut(staging);
}

/** @throws ContixError EMODEL when it does not embed a text */
async function tryOut(staging: string): Promise<void> {
  try {
    await using embedder = await openEmbedder(staging);
    const [vector = []] = await embedder.embed(["a text"]);
    if ([...vector].every(Number.isFinite)) return;
  } catch (cause) {
    if (cause instanceof ContixError && cause.code === "EMODEL") throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ContixError("EMODEL", `the embedding model can not be run: ${reason}`, { cause });
  }
  throw new ContixError("EMODEL", "the embedding model can not be run: it gives no numbers");
}

function contentDigest(facts: EmbedderFacts, digests: ReadonlyMap<string, string>): string {
  const hash = createHash("sha256");
  for (const { name } of facts.files) hash.update(`${name} ${digests.get(name)}\n`);
  const { built, files, ...rest } = facts;
  hash.update(built ?? "").update(JSON.stringify(rest));
  return hash.digest("hex");
}

async function isWhole(dir: string): Promise<boolean> {
  return readCompiledEmbedder(dir).then(
    () => true,
    () => false,
  );
}
