/** The live page of `contix top`: reads, draws, and does what keys say, until it is quit. */
import type { Os } from "../../syscalls/index.js";
import { out } from "../colour.js";
import { describe } from "../errors.js";
import { pause } from "../terminal.js";
import { arrange } from "./columns.js";
import { page, processRoom } from "./page.js";
import { type Reading, type Sample, sampleOf } from "./reading.js";
import { Screen } from "./screen.js";
import type { Source } from "./source.js";
import { type Action, firstView, type Key, press, type View } from "./view.js";

/** How long it is said that something was done. */
const NOTE_MS = 4_000;

export interface LiveOptions {
  readonly delayMs: number;
  readonly all: boolean;
  readonly filter: string;
  /** Pages after which it ends. */
  readonly pages: number;
}

export class Live {
  readonly #source: Source;
  readonly #screen: Screen;
  readonly #stop = new AbortController();
  #view: View;
  #pages: number;
  #before: Reading | undefined;
  #sample: Sample | undefined;
  /** Why there is nothing new to see. */
  #trouble = "";
  #note = { text: "", until: 0 };
  #hurry = new AbortController();

  constructor(source: Source, { delayMs, all, filter, pages }: LiveOptions) {
    this.#source = source;
    this.#view = { ...firstView(delayMs), all, filter };
    this.#pages = pages;
    const hears = { key: (key: Key) => this.#press(key), resized: () => this.#draw() };
    this.#screen = new Screen(process.stdout, process.stdin, hears);
  }

  /** Until it is quit, told to end, or `signal` aborts. `first`: what was read before the page was opened. */
  async run(first: Reading, signal: AbortSignal): Promise<void> {
    const until = AbortSignal.any([signal, this.#stop.signal]);
    this.#before = first;
    this.#sample = sampleOf(first, undefined);
    const screen = this.#screen;
    using _ = screen;
    screen.open();
    this.#draw();
    while (this.#pages > 0 && !this.#source.told) {
      await this.#wait(until);
      if (until.aborted) return;
      if (!this.#view.paused) await this.#refresh(until);
      if (until.aborted) return;
      this.#draw();
      this.#pages--;
    }
  }

  /** Until the next page is due, or somebody wants it now. */
  async #wait(until: AbortSignal): Promise<void> {
    await pause(this.#view.delayMs, AbortSignal.any([until, this.#hurry.signal]));
    this.#hurry = new AbortController();
  }

  async #refresh(until: AbortSignal): Promise<void> {
    const read = await this.#source.read(this.#view.all, until).catch(() => undefined);
    if (read === undefined) return;
    if (typeof read === "string") {
      this.#trouble = `trying again: ${read}`;
      return;
    }
    this.#trouble = "";
    this.#sample = sampleOf(read, this.#before);
    this.#before = read;
  }

  #draw(): void {
    const sample = this.#sample;
    if (sample === undefined) return;
    const note = this.#trouble || (performance.now() < this.#note.until ? this.#note.text : "");
    this.#screen.draw(page(sample, this.#view, this.#screen.size, note, out));
  }

  #press(key: Key): void {
    const sample = this.#sample;
    if (sample === undefined) return;
    const rows = arrange(sample.rows, this.#view);
    const { view, action } = press(this.#view, key, rows, processRoom(sample, this.#screen.size));
    this.#view = view;
    if (action) this.#do(action);
    this.#draw();
  }

  #do(action: Action): void {
    if (action.kind === "quit") this.#stop.abort();
    else if (action.kind === "suspend") this.#suspend();
    else if (action.kind === "note") this.#say(action.text);
    else if (action.kind === "refresh") {
      this.#screen.forget();
      this.#hurry.abort();
    } else void this.#ask(action);
  }

  /** Does something to a process, and says how that went. */
  async #ask(action: Extract<Action, { kind: "signal" | "nice" }>): Promise<void> {
    const { pid } = action;
    const [what, done] =
      action.kind === "signal"
        ? [`${action.signal} to ${pid}`, (os: Os) => os.proc.kill(pid, action.signal)]
        : [`nice ${action.nice} for ${pid}`, (os: Os) => os.proc.nice(pid, action.nice)];
    try {
      await done(await this.#source.os());
      this.#say(`${what}: done`);
      this.#hurry.abort();
    } catch (error) {
      this.#say(`${what}: ${describe(error)}`);
    }
    this.#draw();
  }

  #say(text: string): void {
    this.#note = { text, until: performance.now() + NOTE_MS };
  }

  /** As Ctrl-Z does elsewhere: the shell has its terminal until `fg`. */
  #suspend(): void {
    this.#screen.close();
    process.once("SIGCONT", () => {
      this.#screen.open();
      this.#draw();
    });
    process.kill(process.pid, "SIGTSTP");
  }
}
