/**
 * Makes an export's directory one that the driver opens: its files, copied; its tokenizer;
 * and what was found out about it. Found out by running it, as far as law 2 needs it: does
 * a token's result depend on what enters behind it in the same run?
 */
import { createHash } from "node:crypto";
import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import { COMPILED_FILES } from "../models/compiled.js";
import { stageDirectory } from "../models/staging.js";
import { ModelText } from "../text/model-text.js";
import { CompiledExport, exportDigest, readCompiledExport } from "./compiled-export.js";
import { ExportModel } from "./export-model.js";
import { type ExportFacts, inspectExport } from "./inspect.js";
import { digestsOf, type PlaceOptions, place, progressOver } from "./place-files.js";

export interface CompileExportOptions extends PlaceOptions {
  readonly name: string;
  /** Which of several graphs; see inspectExport. */
  readonly graph?: string | undefined;
  /**
   * The name of the export's content, sha256, from a caller who knows that its files never
   * change; they are linked then, and not read. By default a digest of all that matters.
   */
  readonly weightsDigest?: string | undefined;
  /** By default what README.md says. */
  readonly license?: string | undefined;
}

/** Tokens of a block: enough that a run pays, few enough that filling one up costs little. */
const BLOCK = 32;

/** Operators that measure a whole run to scale each value: rows depend on their neighbours. */
const RUN_WIDE = ["DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"];

/**
 * The directory below `parent` of the compiled form of the export in `dir`; made if it is
 * not there.
 * @throws ContixError EMODEL that says why the export can not be run; ENOSPC
 */
export async function compileExport(
  dir: string,
  parent: string,
  options: CompileExportOptions,
): Promise<string> {
  const facts = await inspectExport(dir, options);
  const progress = await progressOver(facts.files, options);
  const sealed = options.weightsDigest !== undefined;
  const digests = sealed ? new Map<string, string>() : await digestsOf(facts.files, progress);
  const weightsDigest = options.weightsDigest ?? exportWeightsDigest(facts, digests);
  const engineDigest = exportDigest(weightsDigest);
  const target = join(parent, engineDigest);
  if (await isWhole(target)) return target;
  if (await stat(target).catch(() => undefined)) await rm(target, { recursive: true, force: true });
  await stageDirectory(target, async (staging) => {
    for (const file of facts.files) await place(file, staging, digests.get(file.name), progress);
    const tokenizer = join(staging, COMPILED_FILES.tokenizer);
    await writeFile(tokenizer, JSON.stringify(facts.text.tokenizer));
    const identity = { name: options.name, license: options.license ?? facts.license };
    const config = { ...configOf(facts), ...identity, weightsDigest, engineDigest };
    await settle(staging, config, facts.ops);
  });
  return target;
}

/** sha256, hex, over everything of the export that decides what comes out. */
function exportWeightsDigest(facts: ExportFacts, digests: ReadonlyMap<string, string>): string {
  const hash = createHash("sha256");
  for (const { name } of facts.files) hash.update(`${name} ${digests.get(name)}\n`);
  hash.update(JSON.stringify([facts.layout, facts.window, facts.text]));
  return hash.digest("hex");
}

function configOf(facts: ExportFacts) {
  const { arch, layout, window, text, files } = facts;
  const { bosId, addBos, eosIds, chatTemplate } = text;
  return {
    format: 1 as const,
    adapter: "onnx-export" as const,
    files: files.map(({ name }) => name),
    vocab: layout.vocab,
    eosIds: [...eosIds],
    ...{ arch, layout, window, bosId, addBos, chatTemplate },
  };
}

/** Writes the configuration with the largest block that keeps law 2, tried out. */
async function settle(
  staging: string,
  config: Omit<CompiledExport, "block">,
  ops: ReadonlySet<string>,
): Promise<void> {
  const write = async (block: number): Promise<void> => {
    const whole = CompiledExport.parse({ ...config, block });
    await writeFile(join(staging, COMPILED_FILES.config), `${JSON.stringify(whole, null, 2)}\n`);
  };
  const blocks = config.window >= 2 * BLOCK && !RUN_WIDE.some((op) => ops.has(op));
  await write(blocks ? BLOCK : 1);
  await ModelText.open(staging);
  if (!(await rowsStandAlone(staging, config.window))) await write(1);
}

/**
 * Enters the same tokens with others behind them, and in other chunks: is what the next
 * token gives the same to the bit?
 * @throws ContixError EMODEL when the graph does not run at all, or gives no numbers
 */
async function rowsStandAlone(dir: string, window: number): Promise<boolean> {
  const length = Math.min(window - 1, 2 * BLOCK);
  const kept = Math.floor((length * 3) / 4);
  try {
    const model = await ExportModel.open(dir, { slots: 2, slotTokens: length + 1, threads: 0 });
    try {
      const tokens = Array.from({ length }, (_, i) => (i * 37 + 11) % model.info.vocab);
      await model.prefill(0, 0, tokens, false);
      await model.prefill(1, 0, tokens.slice(0, 3), false);
      await model.prefill(1, 3, tokens.slice(3, kept), false);
      const [long = [], short = []] = (await probes(model, kept)).map((logits) => [...logits]);
      if (!long.every(Number.isFinite)) {
        throw new ContixError("EMODEL", "the export can not be run: its logits are no numbers");
      }
      return long.every((value, i) => Object.is(value, short[i]));
    } finally {
      await model.close();
    }
  } catch (cause) {
    if (cause instanceof ContixError && cause.code === "EMODEL") throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ContixError("EMODEL", `the export can not be run: ${reason}`, { cause });
  }
}

/** The logits of one token more in both slots, which depend on every bit before it. */
function probes(model: ExportModel, position: number): Promise<readonly Float32Array[]> {
  const row = { position, token: 1, wantLogits: true };
  return model.decode([0, 1].map((slot) => ({ ...row, slot })));
}

async function isWhole(dir: string): Promise<boolean> {
  return readCompiledExport(dir).then(
    () => true,
    () => false,
  );
}
