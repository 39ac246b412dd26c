/** Which results the kernel may forget: those whose replies are here. */
import type { Ack } from "../../proto/gen/contix/v1/kernel.js";

/** Replies that may pile up before an Ack is sent without a call to carry it. */
const ACK_EVERY = 64;

export class Acks {
  #through = 0;
  #told = 0;
  /** Replies beyond the first seq that is still open. */
  readonly #ahead = new Set<number>();
  #untold: number[] = [];

  /** Notes a reply. True when the kernel should be told now, by an Ack. */
  replied(seq: number): boolean {
    this.#ahead.add(seq);
    this.#untold.push(seq);
    while (this.#ahead.delete(this.#through + 1)) this.#through += 1;
    return this.#through - this.#told >= ACK_EVERY || this.#untold.length >= ACK_EVERY;
  }

  /** The acked_through of the frame that is about to be sent. */
  tell(): bigint {
    this.#told = this.#through;
    return BigInt(this.#through);
  }

  /** An Ack of everything replied: one open call does not hold up those after it. */
  tellAll(): Ack {
    const ackedThrough = this.tell();
    const acked = this.#untold.filter((seq) => seq > this.#through).map(BigInt);
    this.#untold = [];
    return { ackedThrough, acked };
  }
}
