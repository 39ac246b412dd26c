/** The bounded queue of a subscription of a bus, and its reader. */
import type { BusMessage, BusSubscription, QueueBounds } from "./bus.js";

export class BusQueue implements BusSubscription {
  readonly #bounds: QueueBounds;
  readonly #onClose: () => void;
  readonly #queue: BusMessage[] = [];
  #bytes = 0;
  #missed = 0;
  #lapsed = false;
  #closed = false;
  #wake: () => void = () => {};

  constructor(bounds: QueueBounds, onClose: () => void) {
    this.#bounds = bounds;
    this.#onClose = onClose;
  }

  /** Puts a message in, or counts it where there is no room. */
  push(subject: string, body: Uint8Array): void {
    if (this.#closed) return;
    const { messages, bytes } = this.#bounds;
    const full = this.#queue.length >= messages || this.#bytes + body.length > bytes;
    if (full && this.#queue.length > 0) {
      this.#missed++;
      return;
    }
    this.#queue.push({ subject, body, missed: this.#missed, lapsed: this.#lapsed });
    this.#bytes += body.length;
    this.#missed = 0;
    this.#lapsed = false;
    this.#wake();
  }

  /** The line was cut: what comes next says so. */
  lapse(): void {
    this.#lapsed = true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<BusMessage> {
    try {
      for (;;) {
        const message = this.#queue.shift();
        if (message) {
          this.#bytes -= message.body.length;
          yield message;
        } else if (this.#closed) return;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
    } finally {
      this.close();
    }
  }
}
