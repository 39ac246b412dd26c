/** What the long calls of the model library take: how they report, and how they are stopped. */
import type { Recipe } from "./compiled.js";
import type { HubSettings } from "./pull-hub.js";

/** Progress of a long piece of work on a model. */
export interface Progress {
  readonly phase: "download" | "unpack" | "copy" | "compile";
  /** Bytes. */
  readonly done: number;
  readonly total: number;
}

export interface WorkOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Lines for people: what is tried, what failed and why. */
  readonly onNote?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface CompileModelOptions extends WorkOptions {
  readonly recipe?: Recipe;
}

export interface ImportOptions extends WorkOptions {
  /** By default the file's name. */
  readonly name?: string | undefined;
}

export interface PullOptions extends WorkOptions {
  readonly hub?: Partial<HubSettings>;
  /** The Python whose pip is used. */
  readonly python?: string;
}
