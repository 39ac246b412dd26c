/**
 * The bus between kernels: what topics need of each other, wherever they are. Two make
 * it, in memory (bus-memory.ts) and over NATS (bus-nats.ts), and one suite holds both to
 * this contract (test/conformance/ipc.ts):
 *
 * - A publication reaches the subscriptions of all others whose pattern it fits, never
 *   those of who published it, and one publisher's messages arrive in their order.
 * - Each subscription has a bounded queue. What finds it full is left out; the next
 *   message that is not says how many were missed.
 * - Delivery is at most once. What is published while the line is down is refused
 *   (EAGAIN), and what others published meanwhile is lost: the first message after it
 *   says so (`lapsed`). The line comes back with all subscriptions.
 * - A request is answered by one of those who serve it. ESRCH when nobody does.
 */
import { ContixError } from "../../proto/errno.js";

export interface BusMessage {
  readonly subject: string;
  readonly body: Uint8Array;
  /** Left out before this one, because the queue was full. */
  readonly missed: number;
  /** The line was down before this one: an unknown number is missing. */
  readonly lapsed: boolean;
}

/** Ends with `close()`, its own or its bus's. One reader. */
export interface BusSubscription extends AsyncIterable<BusMessage> {
  close(): void;
}

export interface QueueBounds {
  readonly messages: number;
  readonly bytes: number;
}

export interface Bus {
  /** Whether the others can be reached now. */
  readonly up: boolean;
  /** The longest body, bytes. */
  readonly maxBytes: number;
  /** EAGAIN: the line is down, or full. EMSGSIZE: longer than `maxBytes`. */
  publish(subject: string, body: Uint8Array): void;
  subscribe(pattern: string, bounds?: QueueBounds): BusSubscription;
  /** Answers requests to the subject until the result is called; a ContixError reaches who asked. */
  serve(subject: string, answer: (body: Uint8Array) => Promise<Uint8Array>): () => void;
  /** EAGAIN and EMSGSIZE as with publish; ESRCH: nobody serves it; ETIMEDOUT; what the answer threw. */
  request(subject: string, body: Uint8Array, timeoutUs: number): Promise<Uint8Array>;
  /** Resolves when all that was asked for before is in effect: subscriptions above all. EAGAIN. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export const QUEUE_BOUNDS: QueueBounds = { messages: 4096, bytes: 16 << 20 };

/** When to try again what the line did not take, microseconds. */
const RETRY_US = 500_000;

export function busDown(): ContixError {
  const message = "the other kernels can not be reached now";
  return new ContixError("EAGAIN", message, { retryAfterUs: RETRY_US });
}

export function checkSize(body: Uint8Array, most: number): void {
  if (body.length > most) {
    const message = `a message of ${body.length} bytes; between kernels at most ${most}`;
    throw new ContixError("EMSGSIZE", message, { argument: "body" });
  }
}
