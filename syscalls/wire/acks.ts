/** Which results the kernel may forget: all up to the first seq without a reply. */

/** Replies that may pile up before an Ack is sent without a call to carry it. */
const ACK_EVERY = 64;

export class Acks {
  #through = 0;
  #told = 0;
  readonly #ahead = new Set<number>();

  /** Notes a reply. True when the kernel should be told now, by an Ack. */
  replied(seq: number): boolean {
    this.#ahead.add(seq);
    while (this.#ahead.delete(this.#through + 1)) this.#through += 1;
    return this.#through - this.#told >= ACK_EVERY;
  }

  /** The acked_through of the frame that is about to be sent. */
  tell(): bigint {
    this.#told = this.#through;
    return BigInt(this.#through);
  }
}
