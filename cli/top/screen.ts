/**
 * The whole terminal for one program: another screen, no cursor, keys as they are pressed;
 * and, whatever happens, everything as it was before.
 */
import { writeSync } from "node:fs";
import { emitKeypressEvents } from "node:readline";
import type { ReadStream, WriteStream } from "node:tty";
import type { Size } from "./page.js";
import type { Key } from "./view.js";

/** The other screen; no cursor; long lines end at the edge. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";
/** For a terminal that does not say. */
const USUAL: Size = { columns: 80, rows: 24 };

type Terminal = WriteStream & { readonly fd: number };

export interface Hears {
  readonly key: (key: Key) => void;
  readonly resized: () => void;
}

export class Screen implements Disposable {
  readonly #out: Terminal;
  /** Undefined: the keys are somebody else's, `contix top < file`. */
  readonly #keys: ReadStream | undefined;
  readonly #hears: Hears;
  #shown: readonly string[] = [];
  #open = false;

  constructor(out: Terminal, keys: ReadStream, hears: Hears) {
    this.#out = out;
    this.#keys = keys.isTTY === true ? keys : undefined;
    this.#hears = hears;
  }

  get size(): Size {
    const { columns, rows } = this.#out;
    return { columns: columns || USUAL.columns, rows: rows || USUAL.rows };
  }

  open(): void {
    if (this.#open) return;
    this.#open = true;
    this.#shown = [];
    this.#out.write(ENTER);
    this.#out.on("resize", this.#onResize);
    process.on("exit", this.#onExit);
    if (!this.#keys) return;
    emitKeypressEvents(this.#keys);
    this.#keys.setRawMode(true);
    this.#keys.on("keypress", this.#onKey);
    this.#keys.resume();
  }

  /** Puts the terminal back. At once: the process may be about to end. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#out.off("resize", this.#onResize);
    process.off("exit", this.#onExit);
    this.#keys?.off("keypress", this.#onKey);
    try {
      this.#keys?.setRawMode(false);
      writeSync(this.#out.fd, LEAVE);
    } catch {
      // The terminal is gone: there is nothing to put back.
    }
    this.#keys?.pause();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Shows these lines, of which it writes those that changed. A terminal that is behind misses a page. */
  draw(lines: readonly string[]): void {
    if (!this.#open || this.#out.writableNeedDrain) return;
    let text = "";
    const most = Math.max(lines.length, this.#shown.length);
    for (let row = 0; row < most; row++) {
      if (lines[row] === this.#shown[row]) continue;
      // Cleared before it is written: behind a full line that would take its last cell.
      text += `\x1b[${row + 1};1H\x1b[K${lines[row] ?? ""}\x1b[0m`;
    }
    this.#shown = lines;
    if (text !== "") this.#out.write(text);
  }

  /** Draws all of the next page: what is on the screen may be anything. */
  forget(): void {
    this.#shown = [];
    this.#out.write("\x1b[2J");
  }

  readonly #onKey = (_text: string | undefined, key: Key): void => this.#hears.key(key);
  readonly #onResize = (): void => {
    this.forget();
    this.#hears.resized();
  };
  readonly #onExit = (): void => this.close();
}
