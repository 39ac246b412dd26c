/**
 * Text requests that wait for their tokens. They outlive the driver that had them:
 * the next one gets them again, except those that were there at too many deaths.
 */
import { ContixError, isErrno } from "../../proto/errno.js";
import type { TextReply, TextRequest } from "../../proto/gen/contix/driver/v1/llm.js";

type What = NonNullable<TextRequest["what"]>;

/** Characters that may wait in all; a cancelled call's text counts until the driver is done with it. */
const WAITING_CHARACTERS = 16_000_000;
/** What a request costs beside its characters. */
const OVERHEAD = 256;
/** Drivers that may die over a request before it is taken for the cause. */
const DRIVERS = 2;
const RETRY_US = 100_000;

interface Pending {
  readonly request: TextRequest;
  readonly cost: number;
  /** Drivers that had it. */
  drivers: number;
  resolve(reply: TextReply): void;
  reject(error: Error): void;
}

export class Texts {
  readonly #pending = new Map<bigint, Pending>();
  #lastId = 0n;
  #waiting = 0;

  /** Takes a request in, as one that no driver has yet. Throws EAGAIN when too much waits. */
  add(what: What): { request: TextRequest; reply: Promise<TextReply> } {
    const cost = OVERHEAD + characters(what);
    // One alone always passes: its own limit is its caller's matter.
    if (this.#pending.size > 0 && this.#waiting + cost > WAITING_CHARACTERS) {
      const message = `${this.#waiting} characters wait to be tokenized, the limit`;
      throw new ContixError("EAGAIN", message, { retryAfterUs: RETRY_US });
    }
    const request: TextRequest = { id: ++this.#lastId, what };
    const reply = new Promise<TextReply>((resolve, reject) => {
      this.#pending.set(request.id, { request, cost, drivers: 0, resolve, reject });
    });
    this.#waiting += cost;
    return { request, reply };
  }

  /** What a driver that has just become ready must be asked. */
  forNewDriver(): TextRequest[] {
    const out: TextRequest[] = [];
    for (const pending of [...this.#pending.values()]) {
      if (pending.drivers >= DRIVERS) {
        const message = `${pending.drivers} drivers died while they had this text`;
        this.#take(pending.request.id)?.reject(new ContixError("EIO", message));
      } else {
        pending.drivers++;
        out.push(pending.request);
      }
    }
    return out;
  }

  /** A driver that is ready has the request now. */
  sent(id: bigint): void {
    const pending = this.#pending.get(id);
    if (pending) pending.drivers++;
  }

  answer(reply: TextReply): void {
    const { id, error, code, argument } = reply;
    const pending = this.#take(id);
    if (error === "") pending?.resolve(reply);
    else pending?.reject(new ContixError(isErrno(code) ? code : "EINVAL", error, { argument }));
  }

  failAll(error: Error): void {
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(error);
  }

  #take(id: bigint): Pending | undefined {
    const pending = this.#pending.get(id);
    if (!pending) return undefined;
    this.#pending.delete(id);
    this.#waiting -= pending.cost;
    return pending;
  }
}

/** A token counts as a character. */
function characters(what: What): number {
  switch (what.$case) {
    case "encode":
    case "query":
      return what.value.text.length;
    case "chat":
      return what.value.messages.reduce((sum, { content }) => sum + content.length, 0);
    case "decode":
      return what.value.tokens.length;
    default:
      return 0;
  }
}
