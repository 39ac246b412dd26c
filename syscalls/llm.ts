/** The model: stateless generation, tokens, what models there are. */
import type { GenerateCall, Sampling } from "../proto/gen/contix/v1/calls.js";
import { checkCount, checkNumber, checkText, checkTexts, checkUint64 } from "./check.js";
import { CREDIT } from "./chunks.js";
import { SyscallError } from "./errors.js";
import { type GenerateResult, Generation } from "./generation.js";
import { type CallOptions, invoke, request } from "./invoke.js";
import { fromLogprobs } from "./logprobs.js";
import { type Chat, isTokens, type Tokens, toChat, toTokens } from "./messages.js";
import { fromEdit } from "./overflow.js";
import { toMs, toUsage } from "./usage.js";
import type { Session } from "./wire/session.js";

/** How to generate. What is left out has the kernel's default. */
export interface GenerateOptions extends CallOptions {
  /** The most tokens to generate; by default as many as the window holds. */
  readonly maxTokens?: number | undefined;
  /** 0 to 2; 0 is greedy; 0.7 by default. */
  readonly temperature?: number | undefined;
  /** Draw from the k likeliest tokens only; 0, the default, is off. */
  readonly topK?: number | undefined;
  /** Draw from the likeliest tokens that make up this probability; 1, the default, is all. */
  readonly topP?: number | undefined;
  /** Leave out tokens less likely than this share of the likeliest; 0.05 by default, 0 is off. */
  readonly minP?: number | undefined;
  /** Over 1, tokens that are in the context become less likely; 1, the default, is off. */
  readonly repetitionPenalty?: number | undefined;
  /** Over 0, tokens of this answer become less likely; -2 to 2, 0 by default. */
  readonly presencePenalty?: number | undefined;
  /** The same seed gives the same text. Drawn by the kernel when missing. */
  readonly seed?: number | bigint | string | undefined;
  /** The generation ends before the first of these; it is not part of the text. */
  readonly stop?: string | readonly string[] | undefined;
  /**
   * Tell the log probability of each token, and so many of the likeliest at its place, 0 to
   * 20. Not told by default; the text is the same.
   */
  readonly logprobs?: number | undefined;
  /** Go on past the model's own end: for measurements. */
  readonly ignoreEos?: boolean | undefined;
  /**
   * A model by name; by default the daemon's, on a context its own. One that does not
   * run is started first; the call waits for it. Or a handle on a model: a process without
   * a namespace may let no other work.
   */
  readonly model?: string | { readonly handle: number } | undefined;
  /**
   * Hears, a few times a second, how far the reading of a long prompt is: so many of `of`
   * tokens. Not called when that takes no time.
   */
  readonly onPrefill?: ((tokens: number, of: number) => void) | undefined;
}

/** A model that the daemon can serve. What is known only once it has run is 0 or "" before. */
export interface ModelInfo {
  readonly name: string;
  readonly digest: string;
  /** The longest context, tokens. */
  readonly window: number;
  /** The number of different tokens. */
  readonly vocab: number;
  /** Whether its driver runs. */
  readonly loaded: boolean;
  readonly license: string;
  /** Whether it has a chat template, so that `chat` works. */
  readonly chat: boolean;
  /** failed: its driver can not be started, or kept dying; `error` says why. */
  readonly state: "stopped" | "starting" | "running" | "failed";
  /** Whether it is what a call gets that names no model. */
  readonly default: boolean;
  readonly slots: number;
  readonly slotsUsed: number;
  /** Generations that wait for a slot, or for the driver. */
  readonly queued: number;
  /** Memory that its driver takes, bytes. */
  readonly memory: number;
  /** Since its last use, milliseconds; 0 while it is used, or when it never was. */
  readonly idleMs: number;
  /** Its driver's OS process; null when there is none. */
  readonly driverPid: number | null;
  readonly driverRestarts: number;
  readonly error: string;
}

/** `os.llm` */
export class Llm {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Continues `prompt` on a fresh context that ends with the call.
   *
   * @example
   * const { text, usage } = await os.llm.generate("Once upon a time", { maxTokens: 40 });
   */
  generate(prompt: string | Tokens, options: GenerateOptions = {}): Generation {
    return generation(this.#session, 0, options, () =>
      isTokens(prompt) ? toTokens(prompt) : { $case: "prompt", value: checkText("prompt", prompt) },
    );
  }

  /**
   * Answers a conversation, rendered by the model's chat template. A string is
   * the user's one message.
   *
   * @example
   * for await (const text of os.llm.chat("Name three rivers.")) process.stdout.write(text);
   */
  chat(messages: Chat, options: GenerateOptions = {}): Generation {
    return generation(this.#session, 0, options, () => toChat(messages));
  }

  /** The model's tokens for `text`. With `special`, special tokens in it are recognized. */
  async tokenize(
    text: string,
    options: CallOptions & {
      readonly special?: boolean | undefined;
      readonly model?: string | undefined;
    } = {},
  ): Promise<number[]> {
    const { special = false, model = "" } = options;
    const args = { text: checkText("text", text), special, model: checkText("model", model) };
    return (await request(this.#session, { name: "tokenize", args }, options)).tokens;
  }

  /** The daemon's default model: its `window` is the longest context, in tokens. */
  async model(options?: CallOptions): Promise<ModelInfo> {
    const found = (await this.models(options)).find((model) => model.default);
    if (found === undefined) throw new SyscallError("EMODEL", "the daemon has no default model");
    return found;
  }

  /** The models that the daemon can serve: the default first, then those that were used. */
  async models(options?: CallOptions): Promise<ModelInfo[]> {
    const { models } = await request(this.#session, { name: "models", args: {} }, options);
    return models.map(({ idleUs, memory, driverPid, state, ...model }) => ({
      ...model,
      state: state as ModelInfo["state"],
      memory: Number(memory),
      idleMs: toMs(idleUs),
      driverPid: driverPid === 0 ? null : driverPid,
    }));
  }
}

/** Tries again of a generation that the kernel has no place for; see CallOptions.retries. */
const RETRIES = 5;

/**
 * A generation on the context of `handle`, or on a fresh one without. The input
 * is made when the call starts, so that what is wrong with it rejects like the rest.
 */
export function generation(
  session: Session,
  handle: number,
  options: GenerateOptions,
  input: () => GenerateCall["input"],
): Generation {
  return new Generation(async ({ stream, signal, onChunk, onStart }) => {
    const { value, usage } = await invoke(
      session,
      {
        name: "generate",
        handle: handle === 0 && typeof options.model === "object" ? options.model.handle : handle,
        args: { ...toArgs(options, handle), input: input(), stream },
        credit: stream ? CREDIT : 0,
        onChunk: stream ? ({ text, logprobs }) => onChunk(text, fromLogprobs(logprobs)) : undefined,
        onProgress: options.onPrefill,
        onStart: (ticket) => onStart(ticket.grant),
      },
      { retries: RETRIES, ...defined(options), signal },
    );
    const finish = value.finish as GenerateResult["finish"];
    const edit = fromEdit(value.edit);
    const logprobs = fromLogprobs(value.logprobs);
    const seed = value.seed.toString();
    return { ...value, finish, seed, logprobs, edit, usage: toUsage(usage) };
  }, options);
}

function toArgs(options: GenerateOptions, context: number): Omit<GenerateCall, "input" | "stream"> {
  const { maxTokens, stop = [], ignoreEos = false, model = "" } = options;
  const byHandle = context === 0 && typeof model === "object";
  return {
    maxTokens: maxTokens === undefined ? 0 : checkCount("maxTokens", maxTokens, 1),
    sampling: toSampling(options),
    stop: checkTexts("stop", typeof stop === "string" ? [stop] : stop),
    ignoreEos,
    model: byHandle ? "" : checkText("model", model),
    progress: options.onPrefill !== undefined,
    logprobs: given(checkCount, "logprobs", options.logprobs),
  };
}

/** Options that are there but undefined must not hide a default. */
function defined({ timeoutMs, retries }: CallOptions): CallOptions {
  return { timeoutMs, ...(retries !== undefined && { retries }) };
}

function toSampling(options: GenerateOptions): Sampling {
  return {
    temperature: given(checkNumber, "temperature", options.temperature),
    topK: given(checkCount, "topK", options.topK),
    topP: given(checkNumber, "topP", options.topP),
    minP: given(checkNumber, "minP", options.minP),
    repetitionPenalty: given(checkNumber, "repetitionPenalty", options.repetitionPenalty),
    presencePenalty: given(checkNumber, "presencePenalty", options.presencePenalty),
    seed: given(checkUint64, "seed", options.seed),
  };
}

function given<T>(
  check: (argument: string, value: unknown) => T,
  argument: string,
  value: unknown,
): T | undefined {
  return value === undefined ? undefined : check(argument, value);
}
