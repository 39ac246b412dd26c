/** How an answer leaves: whole as JSON, or as events; chat and text differ in their shape only. */
import { randomUUID } from "node:crypto";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type {
  GenerateOptions,
  GenerateResult,
  Generation,
  Os,
  Piece,
} from "../../syscalls/index.js";
import { finishReason, streamedChoices, usageOf, wholeChoices } from "./answer.js";
import { watchClient } from "./client.js";
import { ApiError, toApiError } from "./errors.js";
import { type Exchange, type Gateway, withKernel } from "./gateway.js";
import { type LogprobsShape, TextLogprobs } from "./logprobs.js";
import { fingerprintOf } from "./model-names.js";
import { generateOptions, type SharedBody } from "./parameters.js";
import { EventStream } from "./sse.js";

/** What tells chat completions from text completions. */
export interface Shape {
  readonly id: string;
  readonly object: string;
  readonly chunkObject: string;
  /** The parameter that holds the input. */
  readonly input: "messages" | "prompt";
  whole(result: GenerateResult): object;
  /** The event before the first text; undefined: none. */
  opening(): object | undefined;
  piece(text: string): object;
  closing(): object;
  readonly logprobs: LogprobsShape;
}

/** A checked request: `count` generations, each `perPrompt` of them of one prompt. */
export interface Request {
  readonly body: SharedBody;
  /** Likeliest tokens to tell of beside each one; undefined: no log probabilities at all. */
  readonly logprobs: number | undefined;
  readonly shape: Shape;
  readonly prompts: number;
  readonly generate: (os: Os, prompt: number, options: GenerateOptions) => Generation;
}

/** An unread answer is cut off so long after its deadline, milliseconds. */
const LATE_MS = 5_000;

/** Generates and sends the answer. */
export async function serve(
  gateway: Gateway,
  exchange: Exchange,
  request: Request,
): Promise<Response> {
  const { deadlineMs } = gateway.options;
  using client = watchClient(exchange.env, deadlineMs + LATE_MS);
  const answer = new Answer(gateway, exchange, request, client.signal);
  try {
    return await withKernel(
      gateway,
      exchange,
      (os) => answer.from(os),
      () => exchange.env.outgoing.headersSent,
    );
  } catch (error) {
    if (client.signal.aborted) return RESPONSE_ALREADY_SENT;
    throw toApiError(error, request.shape.input);
  }
}

class Answer {
  readonly #gateway: Gateway;
  readonly #exchange: Exchange;
  readonly #request: Request;
  readonly #signal: AbortSignal;
  readonly #perPrompt: number;
  readonly #count: number;

  constructor(gateway: Gateway, exchange: Exchange, request: Request, signal: AbortSignal) {
    this.#gateway = gateway;
    this.#exchange = exchange;
    this.#request = request;
    this.#signal = signal;
    this.#perPrompt = request.body.n ?? 1;
    this.#count = this.#perPrompt * request.prompts;
    const most = gateway.options.choices;
    if (this.#count > most) {
      const message = `n: ${this.#count} answers are asked for in all; at most ${most}`;
      throw new ApiError(400, message, { code: "invalid_value", param: "n" });
    }
  }

  async from(os: Os): Promise<Response> {
    const { body, shape } = this.#request;
    const model = await this.#gateway.names.find(os, body.model);
    const head = {
      id: `${shape.id}-${randomUUID().replaceAll("-", "")}`,
      object: shape.object,
      created: Math.floor(Date.now() / 1000),
      model: body.model,
      system_fingerprint: fingerprintOf(model),
    };
    // A name that the kernel knows by another one is no label: clients could make up any number.
    const label = model?.name ?? "other";
    if (body.stream === true)
      return this.#stream(os, { ...head, object: shape.chunkObject }, label);
    const start = this.#start(os);
    const results = await wholeChoices(this.#count, start, this.#signal);
    for (const result of results) this.#gateway.metrics.generated(label, result);
    return this.#exchange.json({
      ...head,
      choices: results.map((result, index) => ({
        index,
        ...shape.whole(result),
        logprobs: this.#told()(pieceOf(result)),
        finish_reason: finishReason(result),
      })),
      usage: usageOf(results, this.#perPrompt),
    });
  }

  #start(os: Os): (index: number, signal: AbortSignal) => Generation {
    const { body, generate, logprobs } = this.#request;
    const timeoutMs = this.#gateway.options.deadlineMs;
    return (index, signal) => {
      const own = generateOptions(body, index % this.#perPrompt);
      const prompt = Math.floor(index / this.#perPrompt);
      // The client decides whether to try again: it is told when.
      return generate(os, prompt, { ...own, logprobs, signal, timeoutMs, retries: 0 });
    };
  }

  /** What tells the log probabilities of one answer, piece by piece; null when nobody asked. */
  #told(): (piece: Piece) => object | null {
    const { logprobs, shape } = this.#request;
    if (logprobs === undefined) return () => null;
    const told = new TextLogprobs(shape.logprobs);
    return (piece) => told.of(piece);
  }

  async #stream(os: Os, head: object, label: string): Promise<Response> {
    const { shape, body } = this.#request;
    const { outgoing } = this.#exchange.env;
    const { metrics } = this.#gateway;
    // A waiter for room for each choice.
    outgoing.setMaxListeners(0);
    const events = new EventStream(outgoing, Object.fromEntries(this.#exchange.res.headers));
    const withUsage = body.stream_options?.include_usage === true;
    const usage = withUsage ? { usage: null } : {};
    const told = Array.from({ length: this.#count }, () => this.#told());
    const send = (
      index: number,
      what: object,
      finish: string | null,
      logprobs: object | null = null,
    ): Promise<void> => {
      const choice = { index, ...what, logprobs, finish_reason: finish };
      return events.send({ ...head, choices: [choice], ...usage });
    };
    const opened = new Set<number>();
    const open = async (index: number): Promise<void> => {
      const opening = shape.opening();
      if (opening !== undefined && !opened.has(index)) {
        opened.add(index);
        await send(index, opening, null);
      }
    };
    try {
      const results = await streamedChoices(this.#count, this.#start(os), this.#signal, {
        piece: async (index, piece) => {
          await open(index);
          await send(index, shape.piece(piece.text), null, told[index]?.(piece));
        },
        gap: (ms) => metrics.gap(ms),
        end: async (index, result) => {
          metrics.generated(label, result);
          await open(index);
          await send(index, shape.closing(), finishReason(result));
        },
      });
      if (withUsage) {
        await events.send({ ...head, choices: [], usage: usageOf(results, this.#perPrompt) });
      }
      await events.send("[DONE]");
    } catch (error) {
      if (!events.begun || this.#signal.aborted) throw error;
      const failure = toApiError(error, shape.input);
      metrics.error(failure.code ?? String(failure.status));
      await events.send(failure.body);
    }
    events.end();
    return RESPONSE_ALREADY_SENT;
  }
}

/** A whole answer as one piece. */
function pieceOf({ text, logprobs = [] }: GenerateResult): Piece {
  return { text, logprobs };
}
