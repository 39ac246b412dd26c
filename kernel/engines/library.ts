/**
 * What the kernel asks of whoever has the models. It is handed in at boot: the
 * kernel knows no file and no model format, only how to start a driver (law 1).
 */

/** A model that can be served, as far as it is known without its driver. */
export interface ModelFacts {
  readonly name: string;
  /** "" and 0: not known yet. */
  readonly digest: string;
  readonly window: number;
  readonly vocab: number;
  readonly chat: boolean;
  readonly license: string;
}

/** What it takes to serve a model. */
export interface DriverSpec {
  /** The command that starts its driver. */
  readonly command: readonly string[];
  /** Open.model: the compiled model's directory, or what else the driver takes. */
  readonly model: string;
  /** Bytes that the driver takes: weights, KV of every slot, pages, itself. */
  readonly memory: number;
  /** Bytes of that for pages outside the slots. */
  readonly pageMemory: number;
}

export interface ModelLibrary {
  /** Every model that can be served. */
  list(): Promise<readonly ModelFacts[]>;
  /** The one name of the model that `name`, an alias or a digest means. EMODEL, naming those that there are. */
  resolve(name: string): Promise<string>;
  /** Makes a model ready to be served, which may take a while the first time. EMODEL, EIO, ENOSPC. */
  prepare(name: string): Promise<DriverSpec>;
}
