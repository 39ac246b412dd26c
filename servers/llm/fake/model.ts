/** The fake model: slots of a story instead of KV, and time that passes as a model's would. */
import { setTimeout as sleep } from "node:timers/promises";
import { ContixError } from "../../../proto/errno.js";
import type { Open } from "../../../proto/gen/contix/driver/v1/llm.js";
import type { DecodeRow, Model, ModelInfo } from "../engine/model.js";
import { PAGE_TOKENS, type Pages } from "../engine/pages.js";
import type { FakeOptions } from "./options.js";
import { type Clock, Pace } from "./pace.js";
import { Story, TOKEN_BYTES } from "./story.js";
import { END_OF_TEXT, TURN_END, VOCAB } from "./vocabulary.js";

/** The longest context that it admits to. */
const WINDOW = 32_768;

/** Its pages are so small that more would only be bookkeeping for the kernel. */
const MOST_FRAMES = 2 ** 17;

const PAGE_BYTES = PAGE_TOKENS * TOKEN_BYTES;

type FakeShape = Pick<Open, "slots" | "slotTokens"> & Partial<Pick<Open, "pageMemory">>;

export interface FakeModelPorts {
  readonly clock: Clock;
  /** Ends the process at once, as a fault of the machine would. */
  crash(): void;
}

const PROCESS: FakeModelPorts = {
  clock: { nowUs: () => performance.now() * 1000, sleep: (ms) => sleep(ms) },
  crash: () => process.kill(process.pid, "SIGKILL"),
};

export class FakeModel implements Model {
  readonly info: ModelInfo;
  readonly pages: Pages;
  readonly #options: FakeOptions;
  readonly #ports: FakeModelPorts;
  readonly #story: Story;
  readonly #pace: Pace;
  readonly #logits: readonly Float32Array[];
  #runs = 0;

  /** Throws EINVAL for a model without slots. */
  constructor(
    { slots, slotTokens, pageMemory = 0n }: FakeShape,
    options: FakeOptions,
    ports: FakeModelPorts = PROCESS,
  ) {
    if (slots === 0 || slotTokens === 0) {
      throw new ContixError(
        "EINVAL",
        `${slots} slots of ${slotTokens} tokens; both must be above 0`,
      );
    }
    this.info = {
      engineDigest: `fake-${options.seed}-${options.words}`,
      name: "fake",
      slots,
      slotTokens: Math.min(slotTokens, WINDOW),
      vocab: VOCAB,
      eosIds: [TURN_END, END_OF_TEXT],
      chat: true,
      license: "CC0-1.0",
      driver: "fake",
      chunkTokens: 64,
    };
    this.#options = options;
    this.#ports = ports;
    const frames = Math.min(Math.floor(Number(pageMemory) / PAGE_BYTES), MOST_FRAMES);
    const { seed, words } = options;
    this.#story = new Story(seed, words, slots, this.info.slotTokens, frames * PAGE_TOKENS);
    this.pages = pages(this.#story, frames);
    this.#pace = new Pace(ports.clock);
    this.#logits = Array.from({ length: slots }, () => new Float32Array(VOCAB));
  }

  async prefill(
    slot: number,
    start: number,
    tokens: readonly number[],
    wantLogits: boolean,
  ): Promise<Float32Array | undefined> {
    await this.#run(this.#options.prefillTokenUs * tokens.length);
    tokens.forEach((token, i) => {
      this.#story.enter(slot, start + i, token, true);
    });
    return wantLogits ? this.#predict(0, slot, start + tokens.length) : undefined;
  }

  async decode(rows: readonly DecodeRow[]): Promise<readonly Float32Array[]> {
    await this.#run(this.#options.stepUs + this.#options.tokenUs * rows.length);
    for (const { slot, position, token } of rows) this.#story.enter(slot, position, token, false);
    return rows
      .filter(({ wantLogits }) => wantLogits)
      .map(({ slot, position }, row) => this.#predict(row, slot, position + 1));
  }

  async copy(from: number, to: number, tokens: number): Promise<void> {
    this.#story.copy(from, to, tokens);
  }

  async close(): Promise<void> {}

  /** One run of the model: its time, and the faults that were ordered. */
  async #run(us: number): Promise<void> {
    const { crashAfterSteps, hangAfterSteps } = this.#options;
    this.#runs++;
    if (crashAfterSteps > 0 && this.#runs > crashAfterSteps) this.#ports.crash();
    if (hangAfterSteps > 0 && this.#runs > hangAfterSteps) await new Promise(() => {});
    await this.#pace.spend(us);
  }

  #predict(row: number, slot: number, length: number): Float32Array {
    const logits = this.#logits[row] ?? new Float32Array(VOCAB);
    this.#story.predict(slot, length, logits);
    return logits;
  }
}

function pages(story: Story, frames: number): Pages {
  return {
    bytes: PAGE_BYTES,
    frames,
    save: (slot, start, count, frame) => story.save(slot, start, count, frame * PAGE_TOKENS),
    load: (frame, slot, start, count) => story.load(frame * PAGE_TOKENS, slot, start, count),
    frame: (frame) => story.framed(frame * PAGE_TOKENS, PAGE_TOKENS),
    inSlot: (slot, start) => story.place(slot, start),
    memory: story.memory,
  };
}
