/**
 * The text server of an LLM driver: tokens for text and for messages, made in a worker
 * thread so that a long text never holds a step up; and text for tokens, made at once in
 * the driver's own thread.
 *
 * Requests are answered in order. When the thread is lost (a text too large for its
 * memory, a fault) its pending requests fail with EIO, and the next request starts another.
 */
import type { Worker } from "node:worker_threads";
import { ContixError } from "../../../proto/errno.js";
import type { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import { workerFile } from "../worker-file.js";
import type { ChatOptions } from "./chat.js";
import { ByteDetokenizer, type Detokenizer } from "./detokenizer.js";
import type { EncodeTextOptions } from "./model-text.js";
import type { TokenBytes } from "./token-bytes.js";
import type { Failure, Job, Request, Response, WorkerData } from "./worker-protocol.js";

export type { Detokenizer } from "./detokenizer.js";

export interface TextServer {
  /** The tokens of a text. */
  encode(text: string, options: EncodeTextOptions): Promise<number[]>;
  /** The tokens that append messages to a context that ends as `tail` says (llm.proto, EncodeChat). */
  encodeChat(messages: readonly Message[], tail: ChatTail, options: ChatOptions): Promise<number[]>;
  /** A fresh one, for one generation. */
  detokenizer(): Detokenizer;
  /** Ends the thread; pending requests fail with ESHUTDOWN. */
  close(): Promise<void>;
}

export interface TextServerOptions {
  /** JavaScript heap of the thread, MiB; the default is ample for the longest frame. */
  readonly heapMiB?: number;
}

/** The text server of the compiled model in `dir`. Throws EMODEL when that is none. */
export async function openTextServer(
  dir: string,
  { heapMiB = 1024 }: TextServerOptions = {},
): Promise<TextServer> {
  const server = new ThreadedTextServer(dir, heapMiB);
  await server.open();
  return server;
}

interface Waiting<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

class ThreadedTextServer implements TextServer {
  readonly #dir: string;
  readonly #heapMiB: number;
  readonly #pending = new Map<number, Waiting<number[]>>();
  #lastId = 0;
  #worker: Worker | undefined;
  #opening: Waiting<TokenBytes> | undefined;
  #tokenBytes: TokenBytes | undefined;
  #closed = false;

  constructor(dir: string, heapMiB: number) {
    this.#dir = dir;
    this.#heapMiB = heapMiB;
  }

  async open(): Promise<void> {
    this.#tokenBytes = await new Promise<TokenBytes>((resolve, reject) => {
      this.#opening = { resolve, reject };
      this.#start();
    });
  }

  encode(text: string, { special, start }: EncodeTextOptions): Promise<number[]> {
    return this.#ask({ kind: "encode", text, options: { special, start } });
  }

  encodeChat(
    messages: readonly Message[],
    tail: ChatTail,
    { generationPrompt, lastToken }: ChatOptions,
  ): Promise<number[]> {
    return this.#ask({ kind: "chat", messages, tail, options: { generationPrompt, lastToken } });
  }

  detokenizer(): Detokenizer {
    if (this.#tokenBytes === undefined) throw new ContixError("ESHUTDOWN", "not open yet");
    return new ByteDetokenizer(this.#tokenBytes);
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#closed = true;
    this.#lost(worker, new ContixError("ESHUTDOWN", "the text server was closed"));
    await worker?.terminate();
  }

  #ask(job: Job): Promise<number[]> {
    if (this.#closed) {
      return Promise.reject(new ContixError("ESHUTDOWN", "the text server is closed"));
    }
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      // What is posted before the thread is ready waits in its port.
      (this.#worker ?? this.#start()).postMessage({ id, job } satisfies Request);
    });
  }

  #start(): Worker {
    const workerData: WorkerData = { dir: this.#dir };
    const resourceLimits = { maxOldGenerationSizeMb: this.#heapMiB };
    const options = { workerData, name: "text", resourceLimits };
    const worker = workerFile(import.meta.url, "worker", options);
    this.#worker = worker;
    worker.on("message", (response: Response) => this.#hear(worker, response));
    worker.on("error", (error) => this.#lost(worker, died(error.message)));
    worker.on("exit", () => this.#lost(worker, died("it exited")));
    return worker;
  }

  #hear(worker: Worker, response: Response): void {
    if (response.kind === "ready") {
      this.#opening?.resolve(response.tokenBytes);
      this.#opening = undefined;
    } else if (response.kind === "unable") {
      this.#lost(worker, revive(response.failure));
    } else {
      const waiting = this.#pending.get(response.id);
      this.#pending.delete(response.id);
      if (response.kind === "tokens") waiting?.resolve(response.tokens);
      else waiting?.reject(revive(response.failure));
    }
  }

  /** Fails what `worker` has not answered; the next request starts another. */
  #lost(worker: Worker | undefined, error: ContixError): void {
    if (worker === undefined || this.#worker !== worker) return;
    this.#worker = undefined;
    this.#opening?.reject(error);
    this.#opening = undefined;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

function died(why: string): ContixError {
  return new ContixError("EIO", `the text server's thread was lost: ${why}`);
}

function revive({ code, message, argument }: Failure): ContixError {
  return new ContixError(code, message, { argument });
}
