/** A bus that loses, doubles and delays what is published, as a seed says. */
import type { Bus, BusSubscription } from "../../kernel/ipc/bus.js";

/** Numbers from 0 to 1, by a seed: mulberry32. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class FaultyBus implements Bus {
  readonly #inner: Bus;
  readonly #random: () => number;
  /** What is delayed. */
  readonly #held: (() => void)[] = [];
  faulty = true;

  constructor(inner: Bus, random: () => number) {
    this.#inner = inner;
    this.#random = random;
  }

  get up(): boolean {
    return this.#inner.up;
  }
  get maxBytes(): number {
    return this.#inner.maxBytes;
  }

  publish(subject: string, body: Uint8Array): void {
    const send = (): void => this.#inner.publish(subject, body);
    const luck = this.faulty ? this.#random() : 1;
    if (luck < 0.15) return;
    if (luck < 0.35) {
      this.#held.push(send);
      return;
    }
    send();
    if (luck < 0.5) this.#held.push(send);
  }

  /** Lets go, in any order, of what was delayed so far. */
  release(): void {
    while (this.#held.length > 0) {
      const [send] = this.#held.splice(Math.floor(this.#random() * this.#held.length), 1);
      send?.();
    }
  }

  subscribe(pattern: string): BusSubscription {
    return this.#inner.subscribe(pattern);
  }
  serve(subject: string, answer: (body: Uint8Array) => Promise<Uint8Array>): () => void {
    return this.#inner.serve(subject, answer);
  }
  request(subject: string, body: Uint8Array, timeoutUs: number): Promise<Uint8Array> {
    return this.#inner.request(subject, body, timeoutUs);
  }
  flush(): Promise<void> {
    return this.#inner.flush();
  }
  close(): Promise<void> {
    return this.#inner.close();
  }
}
