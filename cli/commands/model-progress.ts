/** How long work on a model is shown: a bar on a terminal, else a line now and then. */
import { Presets, SingleBar } from "cli-progress";
import type { Progress } from "../../servers/llm/models/options.js";
import { err } from "../colour.js";
import { bytes, duration } from "../format.js";
import { remark } from "../terminal.js";

const LINE_EVERY_MS = 5_000;
/** The rate is that of the last so many milliseconds. */
const RATE_MS = 10_000;

const DOING: Readonly<Record<Progress["phase"], string>> = {
  download: "downloading",
  unpack: "unpacking",
  copy: "copying",
  compile: "compiling",
  verify: "verifying",
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
  #speed = new Speed();

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
    this.#speed.add(this.#now(), progress.done);
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
    this.#speed = new Speed();
    this.#lineAt = this.#now();
    if (!this.#live) remark(`${DOING[phase]} ${this.#name}: ${bytes(total)}`);
  }

  #draw({ phase, done, total }: Progress): void {
    const figures = { done: bytes(done), of: bytes(total), speed: this.#speed.text(total) };
    if (!this.#bar) {
      const title = `${DOING[phase]} ${this.#name}`;
      const format = `${title} ${err.cyan("{bar}")} {percentage}% {done} of {of}{speed}`;
      this.#bar = new SingleBar({ format, hideCursor: true, barsize: 24 }, Presets.shades_classic);
      this.#bar.start(total, done, figures);
    }
    this.#bar.update(done, figures);
  }

  /** Without a terminal: a line every few seconds. */
  #line({ phase, done, total }: Progress): void {
    if (done >= total || this.#now() - this.#lineAt < LINE_EVERY_MS) return;
    this.#lineAt = this.#now();
    const speed = this.#speed.text(total);
    remark(`${DOING[phase]} ${this.#name}: ${bytes(done)} of ${bytes(total)}${speed}`);
  }

  #end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

/** Bytes a second of late, and when the rest is there. What was there before does not count. */
export class Speed {
  #samples: (readonly [ms: number, bytes: number])[] = [];

  add(ms: number, done: number): void {
    this.#samples.push([ms, done]);
    // One from before the window stays, to measure from.
    const inside = this.#samples.findIndex(([at]) => at > ms - RATE_MS);
    if (inside > 1) this.#samples = this.#samples.slice(inside - 1);
  }

  /** Bytes a second; undefined until there is something to measure. */
  get rate(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last[0] - first[0] < 500) return undefined;
    return ((last[1] - first[1]) / (last[0] - first[0])) * 1000;
  }

  /** ", 3.1 MiB/s, 12 s left" for a bar or a line; empty when there is nothing to say. */
  text(total: number): string {
    const { rate } = this;
    const last = this.#samples.at(-1);
    if (rate === undefined || !last) return "";
    if (rate < 1) return ", stalled";
    const left = duration(((total - last[1]) / rate) * 1e6);
    return `, ${bytes(Math.round(rate))}/s, ${left} left`;
  }
}
