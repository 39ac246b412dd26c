/**
 * The stream of one generation: what was produced and not sent yet, the reader's credit, and
 * when the next chunk may go (chunk-rate.ts). A chunk whose time has come goes with the next
 * token: the kernel is awake then anyway, and the driver is between two steps. To wake in the
 * middle of a step, and the reader with it, takes the processors from the model's threads, all of
 * which wait for the slowest. Only when no token comes for a while it goes by itself.
 */
import type { TokenLogprob } from "../../proto/gen/contix/v1/calls.js";
import type { Clock } from "../clock.js";
import type { ChunkRate } from "./chunk-rate.js";

/** How long text whose time has come waits for the next token: a step of many rows, microseconds. */
const PATIENCE_US = 100_000;

export interface ChunkPorts {
  readonly clock: Clock;
  readonly chunkRate: ChunkRate;
  send(text: string, tokens: number[], logprobs?: TokenLogprob[]): void;
  /** Whether there is a reader with room, as it changes. */
  onAble(able: boolean): void;
}

export class ChunkStream {
  readonly #ports: ChunkPorts;
  readonly #rated: Disposable;
  #credit: number;
  #attached = true;
  /** Whole characters only. */
  #text = "";
  #tokens: number[] = [];
  /** Of `#tokens`, when they are told. */
  #logprobs: TokenLogprob[] | undefined;
  #dueAt = 0;
  #cancelWake: (() => void) | undefined;

  /** @param credit chunks that the reader is ready to take */
  constructor(ports: ChunkPorts, credit: number) {
    this.#ports = ports;
    this.#credit = credit;
    this.#rated = ports.chunkRate.enter();
  }

  /** Somebody can take what comes. */
  get able(): boolean {
    return this.#attached && this.#credit > 0;
  }

  add(text: string, tokens: readonly number[], logprobs?: readonly TokenLogprob[]): void {
    this.#text += text;
    this.#tokens.push(...tokens);
    if (logprobs) {
      this.#logprobs ??= [];
      this.#logprobs.push(...logprobs);
    }
    this.#flush();
  }

  give(n: number): void {
    this.#credit += n;
    this.#flush();
  }

  attachment(attached: boolean): void {
    this.#attached = attached;
    this.#flush();
  }

  /** Sends the rest, credit or not: the generation is finished. */
  finish(): void {
    this.#send();
  }

  /** Nothing is sent any more but by `finish`. */
  stop(): void {
    this.#rated[Symbol.dispose]();
    this.#cancelWake?.();
  }

  /** Sends what there is, in one chunk, if there is a reader with room and it is time. */
  #flush(): void {
    const { clock, chunkRate, onAble } = this.#ports;
    const now = clock.now();
    if (this.#text !== "" && this.able) {
      if (now < this.#dueAt) {
        this.#cancelWake ??= clock.after(this.#dueAt + PATIENCE_US - now, () => this.#wake());
      } else {
        this.#credit--;
        this.#dueAt = now + chunkRate.intervalUs;
        this.#send();
      }
    }
    onAble(this.able);
  }

  #wake(): void {
    this.#cancelWake = undefined;
    this.#flush();
  }

  #send(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    if (this.#text === "") return;
    this.#ports.send(this.#text, this.#tokens, this.#logprobs);
    this.#text = "";
    this.#tokens = [];
    this.#logprobs = undefined;
  }
}
