/** The text side of one compiled model, in whichever thread it runs. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import type { ChatTail } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { Message } from "../../../proto/gen/contix/v1/calls.js";
import { type AnyCompiled, COMPILED_FILES, readAnyCompiled } from "../models/compiled.js";
import { ChatEncoder, type ChatOptions } from "./chat.js";
import { ChatTemplate } from "./template.js";
import type { TokenBytes } from "./token-bytes.js";
import { Tokenizer } from "./tokenizer.js";
import { readVocabulary, type Vocabulary } from "./vocabulary.js";

export interface EncodeTextOptions {
  /** Recognize special tokens in the text. */
  readonly special: boolean;
  /** At the start of a context: add what the model puts there. */
  readonly start: boolean;
}

/** What the text side needs of a model's configuration. */
type TextConfig = Pick<AnyCompiled, "name" | "bosId" | "addBos" | "eosIds" | "chatTemplate">;

/** Everything about a model's text that needs its tokenizer. */
export class ModelText {
  readonly tokenBytes: TokenBytes;
  readonly #tokenizer: Tokenizer;
  readonly #chat: ChatEncoder | undefined;
  /** What a context starts with; null: nothing. */
  readonly #bosId: number | null;
  readonly #name: string;

  /** `now`: the clock, for chat templates that write the date. */
  constructor(model: TextConfig, vocabulary: Vocabulary, now = () => new Date()) {
    this.#name = model.name;
    this.#bosId = model.addBos ? model.bosId : null;
    this.tokenBytes = vocabulary.tokenBytes;
    this.#tokenizer = new Tokenizer(vocabulary);
    this.#chat = this.#chatEncoder(model, vocabulary, now);
  }

  /** The text side of the compiled model in `dir`; EMODEL when that is none. */
  static async open(dir: string): Promise<ModelText> {
    const model = await readAnyCompiled(dir);
    const path = join(dir, COMPILED_FILES.tokenizer);
    const source = await readFile(path, "utf8");
    try {
      return new ModelText(model, readVocabulary(JSON.parse(source)));
    } catch (cause) {
      if (cause instanceof ContixError) throw cause;
      throw new ContixError("EMODEL", `${path} is not JSON`, { cause });
    }
  }

  encode(text: string, { special, start }: EncodeTextOptions): number[] {
    const tokens = this.#tokenizer.encode(text, { special, place: start ? "start" : "text" });
    return start && this.#bosId !== null ? [this.#bosId, ...tokens] : tokens;
  }

  /** Throws EMODEL when the model has no chat template; see ChatEncoder. */
  encodeChat(messages: readonly Message[], tail: ChatTail, options: ChatOptions): number[] {
    if (this.#chat === undefined) {
      throw new ContixError(
        "EMODEL",
        `model ${this.#name} has no chat template; generate from a prompt, or use a chat model`,
        { argument: "chat" },
      );
    }
    return this.#chat.encode(messages, tail, options);
  }

  #chatEncoder(model: TextConfig, { added }: Vocabulary, now: () => Date): ChatEncoder | undefined {
    if (model.chatTemplate === null) return undefined;
    const text = (id: number | null | undefined): string =>
      added.find((token) => token.id === id)?.content ?? "";
    const chat = {
      template: new ChatTemplate(model.chatTemplate, {
        bos_token: text(model.bosId),
        eos_token: text(model.eosIds[0]),
      }),
      tokenizer: this.#tokenizer,
      special: added.filter(({ special }) => special).map(({ content }) => content),
      eosIds: model.eosIds,
      bosId: this.#bosId,
    };
    return new ChatEncoder(chat, now);
  }
}
