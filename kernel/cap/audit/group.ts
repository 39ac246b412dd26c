/** The text of a group commit: lines chained as they are added, and the head that signs them. */
import { type KeyObject, sign } from "node:crypto";
import {
  type ChainEnd,
  type FileLine,
  hashOf,
  headLine,
  headText,
  lineAfter,
  type NoteLine,
} from "./chain.js";

export interface Group {
  readonly text: string;
  readonly end: ChainEnd;
  readonly head: string;
  /** Files that may go once this is durable. */
  readonly drop: readonly number[];
}

/** The lines of one group commit, chained as they are added. */
export class GroupText {
  readonly drop: number[] = [];
  readonly #lines: string[] = [];
  #end: ChainEnd;

  constructor(end: ChainEnd) {
    this.#end = end;
  }

  add(body: FileLine | NoteLine): void {
    this.addText(JSON.stringify(body));
  }

  /** Adds what a record says, as `recordText` writes it. */
  addText(body: string): void {
    this.#chain(lineAfter(this.#end, body));
  }

  /** Ends the group. An Ed25519 signature takes less than handing it to another thread does. */
  sign(key: KeyObject, at: number): Group {
    const text = headText(this.#end, at);
    const head = headLine(text, sign(null, Buffer.from(text), key));
    this.#chain(head);
    return { text: this.#lines.join("\n"), end: this.#end, head, drop: this.drop };
  }

  #chain(line: string): void {
    this.#lines.push(line);
    this.#end = { n: this.#end.n + 1, hash: hashOf(line) };
  }
}
