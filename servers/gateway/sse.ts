/**
 * Server-sent events to one client, at its pace: a send resolves when the socket has room,
 * so a reader that stops pauses its generation and costs no memory. The head is sent with
 * the first event, so that what fails before has an HTTP status of its own.
 */
import type { ServerResponse } from "node:http";

export class EventStream {
  readonly #outgoing: ServerResponse;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(outgoing: ServerResponse, headers: Readonly<Record<string, string>>) {
    this.#outgoing = outgoing;
    this.#headers = headers;
  }

  /** Whether an event was sent: from then on failures are events. */
  get begun(): boolean {
    return this.#outgoing.headersSent;
  }

  /** Sends an event. Resolves when there is room for the next, or nobody is there any more. */
  async send(data: object | string): Promise<void> {
    const outgoing = this.#outgoing;
    if (!outgoing.headersSent) {
      outgoing.writeHead(200, {
        ...this.#headers,
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        // nginx would collect events otherwise.
        "x-accel-buffering": "no",
      });
    }
    const text = typeof data === "string" ? data : JSON.stringify(data);
    if (!outgoing.write(`data: ${text}\n\n`)) await drained(outgoing);
  }

  end(): void {
    this.#outgoing.end();
  }
}

function drained(outgoing: ServerResponse): Promise<void> {
  if (outgoing.destroyed || outgoing.closed) return Promise.resolve();
  return new Promise((resolve) => {
    const over = (): void => {
      outgoing.off("drain", over);
      outgoing.off("close", over);
      resolve();
    };
    outgoing.on("drain", over);
    outgoing.on("close", over);
  });
}
