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
    if (this.#bar) this.#bar.update(progress.done, { done: bytes(progress.done) });
    else this.#line(progress);
    if (progress.done >= progress.total) this.#end();
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  #begin(progress: Progress): void {
    this.#end();
    this.#phase = progress.phase;
    this.#lineAt = this.#now();
    const title = `${DOING[progress.phase]} ${this.#name}`;
    if (this.#live) this.#draw(title, progress.total);
    else remark(`${title}: ${bytes(progress.total)}`);
  }

  #draw(title: string, total: number): void {
    const format = `${title} ${err.cyan("{bar}")} {percentage}% {done} of {total_} {eta_formatted}`;
    this.#bar = new SingleBar({ format, hideCursor: true, barsize: 24 }, Presets.shades_classic);
    this.#bar.start(total, 0, { done: bytes(0), total_: bytes(total) });
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
    this.#phase = undefined;
  }
}
