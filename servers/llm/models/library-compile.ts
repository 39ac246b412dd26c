/** How a version of the library becomes a compiled model: the one place that knows its kinds. */
import { join } from "node:path";
import { compileExport } from "../onnx-export/compile-export.js";
import { exportDigest, readCompiledExport } from "../onnx-export/compiled-export.js";
import { compile } from "./compile.js";
import {
  type AnyCompiled,
  CompiledModel,
  type Form,
  type Recipe,
  readCompiled,
} from "./compiled.js";
import { engineDigest } from "./digest.js";
import { type GgufHeader, readGgufHeader } from "./gguf/header.js";
import { decoderShape, familyOf } from "./gguf/model.js";
import { openGgufWeights } from "./gguf/source.js";
import { modelText } from "./gguf/text.js";
import type { ModelVersion } from "./manifest.js";
import { type CompileChoice, DEFAULT_RECIPE, type WorkOptions } from "./options.js";
import { type FreeBytes, needSpace } from "./space.js";

/** What a file says of itself. */
export interface Inspected {
  readonly arch: string;
  readonly license: string | undefined;
}

export interface CompileJob {
  readonly name: string;
  readonly version: ModelVersion;
  /** The GGUF file, or the directory of an export. */
  readonly path: string;
  readonly choice: CompileChoice;
  /** Where compiled models lie. */
  readonly parent: string;
  readonly freeBytes: FreeBytes;
}

/**
 * Whether a GGUF file can be compiled; cheap, since only its head is read.
 * @throws ContixError EMODEL that says why not.
 */
export async function inspectGguf(path: string): Promise<Inspected> {
  const header = await readGgufHeader(path);
  decoderShape(header);
  modelText(header);
  const license = header.metadata.get("general.license");
  return {
    arch: familyOf(header).arch,
    license: typeof license === "string" ? license : undefined,
  };
}

/** The directory that `job` is compiled to, and whether it is there. */
export async function compiledPlace(job: CompileJob): Promise<{ dir: string; isThere: boolean }> {
  const { kind, digest } = job.version;
  if (kind === "onnx") {
    const dir = join(job.parent, exportDigest(digest));
    return { dir, isThere: await succeeds(readCompiledExport(dir)) };
  }
  const dir = join(job.parent, engineDigest(digest, formOf(job.choice)));
  return { dir, isThere: await succeeds(readCompiled(dir)) };
}

/**
 * Compiles a version; a model that is there already is returned as it is.
 * @throws ContixError EMODEL when it can not be; ENOSPC.
 */
export async function compileVersion(job: CompileJob, options: WorkOptions): Promise<string> {
  if (job.version.kind === "onnx") return compileOnnx(job, options);
  const header = await readGgufHeader(job.path);
  const shape = decoderShape(header);
  const form = formOf(job.choice);
  const what = `compiling ${job.name}`;
  if (!(await compiledPlace(job)).isThere) {
    await needSpace(job.parent, leastBytes(header, form.recipe), what, job.freeBytes);
  }
  await using source = await openGgufWeights(header, shape);
  const { digest, arch, license } = job.version;
  const text = modelText(header);
  const input = {
    name: job.name,
    shape,
    source,
    form,
    arch,
    license,
    weightsDigest: digest,
    text,
  };
  // Awaited here: the file must stay open until then.
  return await compile(job.parent, input, {
    ...(options.signal && { signal: options.signal }),
    onProgress: (done, total) => options.onProgress?.({ phase: "compile", done, total }),
  });
}

/** Whether this version of Contix, on this machine, would make the same compiled model again. */
export function isCurrent(config: AnyCompiled): boolean {
  if (config.adapter === "onnx-export") {
    return config.engineDigest === exportDigest(config.weightsDigest);
  }
  const own = CompiledModel.safeParse(config);
  return own.success && own.data.engineDigest === engineDigest(own.data.weightsDigest, own.data);
}

/** What is surely needed, bytes: 9 for 8 weights, or 4 for each. */
function leastBytes(header: GgufHeader, recipe: Recipe): number {
  const count = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  const weights = [...header.tensors.values()].reduce((sum, { shape }) => sum + count(shape), 0);
  return recipe === "fp32" ? weights * 4 : (weights * 9) / 8;
}

function formOf({ recipe = DEFAULT_RECIPE }: CompileChoice): Form {
  return { recipe, kv: "fp32" };
}

/** The files of a version never change, so they are linked. */
function compileOnnx(job: CompileJob, { onProgress, signal }: WorkOptions): Promise<string> {
  const { main, digest, license } = job.version;
  return compileExport(job.path, job.parent, {
    name: job.name,
    graph: main,
    weightsDigest: digest,
    license: license === "unknown" ? undefined : license,
    onProgress: (done, total) => onProgress?.({ phase: "compile", done, total }),
    signal,
  });
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
