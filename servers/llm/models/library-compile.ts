/** How a version of the library becomes a compiled model: the one place that knows its kinds. */
import { join } from "node:path";
import { compileEmbedder } from "../embed/compile-embedder.js";
import { embedderDigest, readCompiledEmbedder } from "../embed/compiled-embedder.js";
import { isEncoder } from "../embed/inspect-embedder.js";
import { compileExport } from "../onnx-export/compile-export.js";
import { exportDigest, readCompiledExport } from "../onnx-export/compiled-export.js";
import { type ChoiceSpace, type ChooseOptions, choose, chosen } from "./choose.js";
import { type CompileInput, compile } from "./compile.js";
import { type AnyCompiled, CompiledModel, type Form, readCompiled } from "./compiled.js";
import { engineDigest } from "./digest.js";
import { type GgufHeader, readGgufHeader } from "./gguf/header.js";
import { decoderShape, familyOf } from "./gguf/model.js";
import { openGgufWeights } from "./gguf/source.js";
import { modelText } from "./gguf/text.js";
import type { ModelVersion } from "./manifest.js";
import type { CompileChoice, WorkOptions } from "./options.js";
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

/** The directory that `job` is compiled to, if it is there. */
export async function compiledPlace(job: CompileJob): Promise<string | undefined> {
  const { kind, digest } = job.version;
  if (kind !== "gguf") {
    const exported = join(job.parent, exportDigest(digest));
    if (await succeeds(readCompiledExport(exported))) return exported;
    const dir = join(job.parent, embedderDigest(digest));
    return (await succeeds(readCompiledEmbedder(dir))) ? dir : undefined;
  }
  const form = await knownForm(job);
  if (!form) return undefined;
  const dir = join(job.parent, engineDigest(digest, form));
  return (await succeeds(readCompiled(dir))) ? dir : undefined;
}

/**
 * Compiles a version; a model that is there already is returned as it is. Where no recipe
 * was asked for, the first time measures which one is best here.
 * @throws ContixError EMODEL when it can not be; ENOSPC.
 */
export async function compileVersion(job: CompileJob, options: WorkOptions): Promise<string> {
  if (job.version.kind !== "gguf") return compileFiles(job, options);
  const header = await readGgufHeader(job.path);
  const shape = decoderShape(header);
  const { digest, arch, license } = job.version;
  const text = modelText(header);
  await using source = await openGgufWeights(header, shape);
  const input = { name: job.name, shape, source, arch, license, weightsDigest: digest, text };
  const settings = {
    ...(options.signal && { signal: options.signal }),
    onProgress: (done: number, total: number) =>
      options.onProgress?.({ phase: "compile", done, total }),
    onNote: options.onNote,
    onChoice: options.onChoice,
  };
  const space = { parent: job.parent, weights: weightsOf(header), freeBytes: job.freeBytes };
  const form = (await knownForm(job)) ?? (await chosenForm(job, space, input, settings));
  const needed = space.weights * (form.recipe === "fp32" ? 4 : 9 / 8);
  if (!(await succeeds(readCompiled(join(job.parent, engineDigest(digest, form)))))) {
    await needSpace(job.parent, needed, `compiling ${job.name}`, job.freeBytes);
  }
  // Awaited here: the file must stay open until then.
  return await compile(job.parent, { ...input, form }, settings);
}

/** The form that was asked for, or was chosen before. */
async function knownForm({ parent, version, choice }: CompileJob): Promise<Form | undefined> {
  const { recipe, kv } = choice;
  if (recipe) return { recipe, kv: kv ?? "fp32" };
  const before = await chosen(parent, version.digest);
  return before && { recipe: before.recipe, kv: kv ?? before.kv };
}

async function chosenForm(
  { choice }: CompileJob,
  space: ChoiceSpace,
  input: Omit<CompileInput, "form">,
  settings: ChooseOptions & Pick<WorkOptions, "onChoice">,
): Promise<Form> {
  const made = await choose(space, input, settings);
  settings.onChoice?.(made);
  return { recipe: made.recipe, kv: choice.kv ?? made.kv };
}

/** Whether this version of Contix, on this machine, would make the same compiled model again. */
export function isCurrent(config: AnyCompiled): boolean {
  if (config.adapter === "onnx-export") {
    return config.engineDigest === exportDigest(config.weightsDigest);
  }
  if (config.adapter === "embedder") {
    return config.engineDigest === embedderDigest(config.weightsDigest);
  }
  const own = CompiledModel.safeParse(config);
  return own.success && own.data.engineDigest === engineDigest(own.data.weightsDigest, own.data);
}

function weightsOf(header: GgufHeader): number {
  const count = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
  return [...header.tensors.values()].reduce((sum, { shape }) => sum + count(shape), 0);
}

/** A decoder's export, or an embedding model. The files of a version never change: they are linked. */
async function compileFiles(job: CompileJob, { onProgress, signal }: WorkOptions): Promise<string> {
  const { kind, main, digest, license } = job.version;
  const settings = {
    name: job.name,
    weightsDigest: digest,
    license: license === "unknown" ? undefined : license,
    onProgress: (done: number, total: number) => onProgress?.({ phase: "compile", done, total }),
    signal,
  };
  if (kind === "safetensors") return compileEmbedder(job.path, job.parent, settings);
  const compileGraph = (await isEncoder(job.path, main)) ? compileEmbedder : compileExport;
  return compileGraph(job.path, job.parent, { ...settings, graph: main });
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
