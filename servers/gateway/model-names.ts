/** What the gateway says about models: asked of the kernel once a while for each attachment. */
import { type ModelInfo, type Os, SyscallError } from "../../syscalls/index.js";

interface Known {
  readonly at: number;
  readonly models: readonly ModelInfo[];
}

const FRESH_MS = 30_000;

export class ModelNames {
  readonly #known = new WeakMap<Os, Known>();

  /** The model of exactly that name; undefined when there is none, or the key may not see it. */
  async find(os: Os, name: string): Promise<ModelInfo | undefined> {
    const known = this.#known.get(os);
    const model = known?.models.find((one) => one.name === name);
    // A model that has not run yet has no digest, and gets one soon.
    const good = known !== undefined && performance.now() - known.at < FRESH_MS;
    if (good && model?.digest !== "") return model;
    const models = await os.llm.models().catch((error: unknown) => {
      if (error instanceof SyscallError && error.code === "EPERM") return [];
      throw error;
    });
    this.#known.set(os, { at: performance.now(), models });
    return models.find((one) => one.name === name);
  }
}

/** Equal seeds and parameters give equal answers as long as this is the same. */
export function fingerprintOf(model: ModelInfo | undefined): string | null {
  const digest = model?.digest ?? "";
  return digest === "" ? null : `fp_${digest.replace(/^.*:/, "").slice(0, 16)}`;
}
