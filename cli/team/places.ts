/** Where in a manifest's text something stands, by its path in the data. */
import { isCollection, isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from "yaml";

/** Counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export type Path = readonly PropertyKey[];

/** A mistake in the text itself. */
export interface TextError extends Place {
  readonly message: string;
}

/** More than a manifest ever is: nobody means to read that. */
const LONGEST = 1 << 20;
const START: Place = { line: 1, column: 1 };

/** A manifest's text as data, with the places of its parts. YAML; JSON is a part of it. */
export class Source {
  readonly errors: readonly TextError[];
  readonly data: unknown;
  readonly #root: Node | null;
  readonly #lines = new LineCounter();

  constructor(text: string) {
    const long = text.length > LONGEST;
    const document = parseDocument(long ? "" : text, { lineCounter: this.#lines });
    const errors = document.errors.map(({ message, pos }) => {
      return { ...this.#at(pos[0]), message: firstLine(message) };
    });
    if (long) errors.push({ ...START, message: `${text.length} characters are no manifest` });
    this.#root = document.contents;
    this.data = undefined;
    if (errors.length === 0) {
      try {
        this.data = document.toJS();
      } catch (error) {
        // An alias of nothing, or so many of them that the data would be huge.
        const message = error instanceof Error ? firstLine(error.message) : String(error);
        errors.push({ ...START, message });
      }
    }
    this.errors = errors;
  }

  /** Of the value at the path, or of the nearest thing around it that is there. */
  valueAt(path: Path): Place {
    let node: unknown = this.#root;
    let found = isNode(node) && node.range ? this.#at(node.range[0]) : START;
    for (const [i, step] of path.entries()) {
      // A short form stands for what it means: `restart: always` for its policy.
      if (!isCollection(node)) break;
      // What is missing is missing in something: that one's name is where to look.
      if (!node.has(step)) return i > 0 ? this.keyAt(path.slice(0, i)) : found;
      node = node.get(step, true);
      if (isNode(node) && node.range) found = this.#at(node.range[0]);
    }
    return found;
  }

  /** Of the key at the end of the path; of an item of a list, the item. */
  keyAt(path: Path): Place {
    const key = path.at(-1);
    let node: unknown = this.#root;
    for (const step of path.slice(0, -1))
      node = isCollection(node) ? node.get(step, true) : undefined;
    const pair = isMap(node)
      ? node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key))
      : undefined;
    const range = isScalar(pair?.key) ? pair.key.range : undefined;
    return range ? this.#at(range[0]) : path.length === 0 ? START : this.#item(node, key);
  }

  #item(node: unknown, key: PropertyKey | undefined): Place {
    const item: unknown = isCollection(node) ? node.get(key, true) : undefined;
    return isNode(item) && item.range ? this.#at(item.range[0]) : START;
  }

  #at(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

function firstLine(message: string): string {
  return (message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
}
