/** What the reader of `contix top` looks at, and what his keys make of it: a pure function. */
import type { Pid } from "../../syscalls/index.js";
import { COLUMNS, type SortKey } from "./columns.js";
import type { Row } from "./reading.js";

/** What is being typed at the prompt, and for which process. */
export interface Prompt {
  readonly what: "filter" | "signal" | "nice" | "seconds";
  readonly pid: Pid;
  readonly text: string;
}

export interface View {
  readonly sort: SortKey;
  readonly reverse: boolean;
  readonly filter: string;
  readonly paused: boolean;
  /** Also processes that have ended. */
  readonly all: boolean;
  readonly delayMs: number;
  /** The process that keys are for; it keeps the mark wherever it moves. */
  readonly marked: Pid | null;
  readonly help: boolean;
  readonly prompt: Prompt | undefined;
}

/** What a key asks of the world outside the view. */
export type Action =
  | { readonly kind: "quit" }
  | { readonly kind: "suspend" }
  | { readonly kind: "refresh" }
  | { readonly kind: "signal"; readonly pid: Pid; readonly signal: string }
  | { readonly kind: "nice"; readonly pid: Pid; readonly nice: number }
  | { readonly kind: "note"; readonly text: string };

/** A key as node:readline names it. */
export interface Key {
  readonly name?: string | undefined;
  readonly sequence?: string | undefined;
  readonly ctrl?: boolean | undefined;
}

export interface Pressed {
  readonly view: View;
  readonly action?: Action;
}

export const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["up down pgup pgdn home end", "choose a process"],
  ["< >", "sort by the column before, behind"],
  ["R", "turn the order around"],
  ["/", "only processes whose pid, name, principal, class or state has the text"],
  ["k", "send it a signal: TERM, or what you type"],
  ["r", "renice it: -20 (first) to 19 (last)"],
  ["S C", "stop it; let it continue"],
  ["a", "also processes that have ended"],
  ["d", "seconds between two pages"],
  ["space", "pause, and go on"],
  ["h ?", "this help"],
  ["q ctrl-c", "quit"],
];

const LEAST_SECONDS = 0.1;
const MOST_SECONDS = 3600;

export function firstView(delayMs: number): View {
  const open = { help: false, prompt: undefined, marked: null };
  return { sort: "tok/s", reverse: false, filter: "", paused: false, all: false, delayMs, ...open };
}

/** `rows` as they stand on the page, of which `room` are seen at once. */
export function press(view: View, key: Key, rows: readonly Row[], room: number): Pressed {
  if (key.ctrl === true && key.name === "c") return { view, action: { kind: "quit" } };
  if (key.ctrl === true && key.name === "z") return { view, action: { kind: "suspend" } };
  if (key.ctrl === true && key.name === "l") return { view, action: { kind: "refresh" } };
  if (view.prompt) return type(view, view.prompt, key);
  if (view.help) return { view: { ...view, help: false } };
  const steps = moves(room, rows.length)[key.name ?? ""];
  if (steps !== undefined) return { view: { ...view, marked: moved(view, rows, steps) } };
  return command(view, key.sequence ?? "", rows);
}

/** The index of the marked process; -1: none is, or it is not there any more. */
export function markedAt({ marked }: Pick<View, "marked">, rows: readonly Row[]): number {
  return marked === null ? -1 : rows.findIndex(({ pid }) => pid === marked);
}

function moves(page: number, all: number): Readonly<Record<string, number>> {
  const step = Math.max(1, page - 1);
  return { up: -1, down: 1, pageup: -step, pagedown: step, home: -all, end: all };
}

function moved(view: View, rows: readonly Row[], steps: number): Pid | null {
  const from = markedAt(view, rows);
  const at = from < 0 && steps < 0 ? 0 : from + steps;
  return rows[Math.min(rows.length - 1, Math.max(0, at))]?.pid ?? null;
}

function command(view: View, key: string, rows: readonly Row[]): Pressed {
  const row = rows[markedAt(view, rows)];
  const ask = (what: Prompt["what"], pid = ""): Pressed => ({
    view: { ...view, prompt: { what, pid, text: "" } },
  });
  const signal = (name: string): Pressed =>
    row ? { view, action: { kind: "signal", pid: row.pid, signal: name } } : nothing(view);
  switch (key) {
    case "q":
      return { view, action: { kind: "quit" } };
    case "h":
    case "?":
      return { view: { ...view, help: true } };
    case " ":
    case "p":
      return { view: { ...view, paused: !view.paused } };
    case "a":
      return { view: { ...view, all: !view.all }, action: { kind: "refresh" } };
    case "R":
      return { view: { ...view, reverse: !view.reverse } };
    case "<":
      return { view: { ...view, sort: beside(view.sort, -1) } };
    case ">":
      return { view: { ...view, sort: beside(view.sort, 1) } };
    case "/":
      return ask("filter");
    case "d":
      return ask("seconds");
    case "k":
      return row ? ask("signal", row.pid) : nothing(view);
    case "r":
      return row ? ask("nice", row.pid) : nothing(view);
    case "S":
      return signal("STOP");
    case "C":
      return signal("CONT");
    default:
      return { view };
  }
}

function nothing(view: View): Pressed {
  return { view, action: { kind: "note", text: "choose a process with the arrow keys first" } };
}

function beside(sort: SortKey, by: number): SortKey {
  const at = COLUMNS.findIndex(({ key }) => key === sort) + by;
  return COLUMNS[(at + COLUMNS.length) % COLUMNS.length]?.key ?? sort;
}

function type(view: View, prompt: Prompt, key: Key): Pressed {
  const { sequence = "" } = key;
  const write = (text: string): Pressed => ({ view: { ...view, prompt: { ...prompt, text } } });
  if (key.name === "escape") return { view: { ...view, prompt: undefined } };
  if (key.name === "return" || key.name === "enter")
    return entered({ ...view, prompt: undefined }, prompt);
  if (key.name === "backspace") return write([...prompt.text].slice(0, -1).join(""));
  if (key.ctrl === true && key.name === "u") return write("");
  // One character: arrows and the like come as longer sequences.
  if ([...sequence].length !== 1 || sequence < " " || sequence === "\x7f") return { view };
  return write(prompt.text + sequence);
}

function entered(view: View, { what, pid, text }: Prompt): Pressed {
  const said = text.trim();
  if (what === "filter") return { view: { ...view, filter: said } };
  if (what === "signal") {
    const signal = said === "" ? "TERM" : said.toUpperCase().replace(/^SIG/, "");
    return { view, action: { kind: "signal", pid, signal } };
  }
  if (said === "") return { view };
  const value = Number(said);
  if (what === "nice") {
    if (Number.isInteger(value)) return { view, action: { kind: "nice", pid, nice: value } };
    return note(view, `"${said}" is no whole number from -20 to 19`);
  }
  if (value >= LEAST_SECONDS && value <= MOST_SECONDS)
    return { view: { ...view, delayMs: value * 1000 }, action: { kind: "refresh" } };
  return note(view, `"${said}" is no number of seconds from ${LEAST_SECONDS} to ${MOST_SECONDS}`);
}

function note(view: View, text: string): Pressed {
  return { view, action: { kind: "note", text } };
}
