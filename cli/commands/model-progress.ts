/** How long work on a model is shown: a bar on a terminal, else a line now and then. */
import { Presets, SingleBar } from "cli-progress";
import type { Progress } from "../../servers/llm/models/options.js";
import { err } from "../colour.js";
import { bytes } from "../format.js";
import { remark } from "../terminal.js";

const LINE_EVERY_MS = 5_000;

const DOING: Readonly<Record<Progress["phase"], string>> = {
  download: "downloading",
  unpack: "unpacking",
  copy: "copying",
  compile: "compiling",
};

/** Shows the progress of one piece of work on stderr. Stop it, whatever happens. */
export class ProgressView implements Disposable {
  readonly #live = process.stderr.isTTY === true && process.env.TERM !== "dumb";
  readonly #name: string;
  readonly #now: () => number;
  #bar: SingleBar | undefined;
  #phase: Progress["phase"] | undefined;
  #whole = false;
  #lineAt = 0;

  constructor(name: string, now: () => number = () => performance.now()) {
    this.#name = name;
    this.#now = now;
  }

  /** A line for people; the bar goes out of its way. */
  note(line: string): void {
    this.#end();
    remark(err.yellow(line));
  }

  update(progress: Progress): void {
    if (progress.phase !== this.#phase) this.#begin(progress);
    if (this.#whole) return;
    if (this.#live) this.#draw(progress);
    else this.#line(progress);
    this.#whole = progress.done >= progress.total;
    if (this.#whole) this.#end();
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  #begin({ phase, total }: Progress): void {
    this.#end();
    this.#phase = phase;
    this.#whole = false;
    this.#lineAt = this.#now();
    if (!this.#live) remark(`${DOING[phase]} ${this.#name}: ${bytes(total)}`);
  }

  #draw({ phase, done, total }: Progress): void {
    const figures = { done: bytes(done), of: bytes(total) };
    if (!this.#bar) {
      const title = `${DOING[phase]} ${this.#name}`;
      const format = `${title} ${err.cyan("{bar}")} {percentage}% {done} of {of} {eta_formatted}`;
      this.#bar = new SingleBar({ format, hideCursor: true, barsize: 24 }, Presets.shades_classic);
      this.#bar.start(total, done, figures);
    }
    this.#bar.update(done, figures);
  }

  /** Without a terminal: a line every few seconds. */
  #line({ phase, done, total }: Progress): void {
    if (done >= total || this.#now() - this.#lineAt < LINE_EVERY_MS) return;
    this.#lineAt = this.#now();
    remark(`${DOING[phase]} ${this.#name}: ${bytes(done)} of ${bytes(total)}`);
  }

  #end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}
