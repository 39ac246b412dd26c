/** What the text server and its worker thread say to each other. */
import type { Errno } from "../../../proto/errno.js";
import type { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import type { ChatOptions } from "./chat.js";
import type { EncodeTextOptions } from "./model-text.js";
import type { TokenBytes } from "./token-bytes.js";

export interface WorkerData {
  /** Directory of the compiled model. */
  readonly dir: string;
}

export type Job =
  | { readonly kind: "encode"; readonly text: string; readonly options: EncodeTextOptions }
  | {
      readonly kind: "chat";
      readonly messages: readonly Message[];
      readonly tail: ChatTail;
      readonly options: ChatOptions;
    };

export interface Request {
  readonly id: number;
  readonly job: Job;
}

/** An error as it crosses a thread; a ContixError keeps its fields. */
export interface Failure {
  readonly code: Errno;
  readonly message: string;
  readonly argument: string;
}

export type Response =
  | { readonly kind: "ready"; readonly tokenBytes: TokenBytes }
  | { readonly kind: "unable"; readonly failure: Failure }
  | { readonly kind: "tokens"; readonly id: number; readonly tokens: number[] }
  | { readonly kind: "failed"; readonly id: number; readonly failure: Failure };
