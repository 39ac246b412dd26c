/** The page of `contix top`, as lines of at most so many cells: a pure function of what was read. */
import type { ModelInfo } from "../../syscalls/index.js";
import type { Colours } from "../colour.js";
import { stateColour } from "../commands/ps.js";
import { bytes, count, duration, rate } from "../format.js";
import { cells, fit, printable } from "./cells.js";
import { arrange, columnsFor } from "./columns.js";
import type { Row, Sample } from "./reading.js";
import { KEYS, markedAt, type Prompt, type View } from "./view.js";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Lines of models that stand above the table. */
const MODELS = 3;
const HINT =
  "q quit  h help  < > sort  / filter  k kill  r renice  S stop  C continue  space pause";
const ASKS: Readonly<Record<Prompt["what"], string>> = {
  filter: "show only (nothing: all)",
  signal: "signal to send to",
  nice: "nice of",
  seconds: "seconds between two pages",
};

/** A whole page, not longer than the terminal. `note` is what there is to tell: a failure, a result. */
export function page(
  sample: Sample,
  view: View,
  size: Size,
  note: string,
  colours: Colours,
): string[] {
  if (view.help) return helpPage(size, colours);
  const head = headLines(sample, view, size.columns, colours);
  const rows = arrange(sample.rows, view);
  const room = roomFor(head.length, size);
  const marked = markedAt(view, rows);
  // The marked process stays on the page: as far up as the list's end allows.
  const from = Math.max(0, Math.min(marked - Math.floor(room / 2), rows.length - room));
  const shown = rows.slice(from, from + room);
  const lines = [
    ...head,
    titles(view, size.columns, colours),
    ...shown.map((row, i) => line(row, size.columns, from + i === marked, colours)),
  ];
  while (lines.length < size.rows - 1) lines.push("");
  return [
    ...lines.slice(0, size.rows - 1),
    foot(view, note, rows.length, sample.rows.length, size, colours),
  ];
}

/** The page as a pipe gets it: every process, no marks, lines as long as they are. */
export function textPage(sample: Sample, view: View, columns: number, colours: Colours): string[] {
  const rows = arrange(sample.rows, view);
  return [
    ...headLines(sample, view, columns, colours),
    titles(view, columns, colours),
    ...rows.map((row) => line(row, columns, false, colours)),
  ].map((text) => text.trimEnd());
}

/** Processes that a page of that size shows at once. */
export function processRoom(sample: Sample, size: Size): number {
  return roomFor(HEAD_LINES + modelLines(sample.models, size.columns).length, size);
}

const HEAD_LINES = 4;

function roomFor(head: number, { rows }: Size): number {
  return Math.max(0, rows - head - 2);
}

function headLines(sample: Sample, view: View, columns: number, colours: Colours): string[] {
  const { uname, stats, sched, rates } = sample;
  const inState = (state: string): number =>
    sample.rows.filter((row) => row.state === state).length;
  const state = view.paused ? colours.yellow(" PAUSED") : "";
  const first = `contix top  ${uname.node}  up ${duration(uname.uptimeMs * 1000)}  ${countOf(sample.rows.length, "process", "es")}: ${inState("running")} running, ${inState("ready")} ready, ${inState("blocked")} blocked`;
  const lines = [
    `slots  ${slotMap(sample, Math.max(4, columns - 40))} ${stats.slotsUsed}/${stats.slots}  policy ${sched.policy}  queue ${queues(sample)}`,
    `tokens ${perSecond(rates.prefilled)} prefilled  ${perSecond(rates.decoded)} decoded  ${perSecond(rates.recomputed)} again  steps ${perSecond(rates.steps)}  switches ${perSecond(rates.switches)}`,
    `pages  ram ${count(stats.pagesMemoryUsed)}/${count(stats.pagesMemory)}  swap ${count(stats.pagesSwapUsed)}/${count(stats.pagesSwap)}  in ${perSecond(rates.pagesIn)} out ${perSecond(rates.pagesOut)}  si ${perSecond(rates.swapIn)} so ${perSecond(rates.swapOut)}`,
    ...modelLines(sample.models, columns),
  ];
  const bold = colours.bold(fit(first, columns - (view.paused ? 7 : 0)));
  return [bold + state, ...lines.map((text) => fit(text, columns))];
}

function perSecond(n: number): string {
  return `${n === 0 ? "0" : rate(n)}/s`;
}

function countOf(n: number, what: string, plural: string): string {
  return `${count(n)} ${what}${n === 1 ? "" : plural}`;
}

/** Each slot a letter: D decodes, P prefills, a dot is free. */
function slotMap({ stats }: Sample, most: number): string {
  const letters = stats.slot.map(({ phase }) =>
    phase === "decode" ? "D" : phase === "prefill" ? "P" : ".",
  );
  const shown = letters.slice(0, most).join("");
  return `[${shown}${letters.length > most ? "…" : ""}]`;
}

/** Who waits for a slot, by class. */
function queues({ sched, stats }: Sample): string {
  const waiting = new Map<string, number>();
  for (const { class: kind, waiting: n } of sched.queues.flatMap(({ classes }) => classes)) {
    if (n > 0) waiting.set(kind, (waiting.get(kind) ?? 0) + n);
  }
  const each = [...waiting].map(([kind, n]) => `${kind} ${n}`);
  return `${stats.queued}/${stats.queueLimit}${each.length === 0 ? "" : ` (${each.join(", ")})`}`;
}

function modelLines(models: readonly ModelInfo[], columns: number): string[] {
  const more = models.length - MODELS;
  const shown = models.slice(0, more > 0 ? MODELS - 1 : MODELS).map((model) => {
    const { name, state, slots, slotsUsed, queued, memory } = model;
    const what = `${state}  slots ${slotsUsed}/${slots}  queued ${queued}  ${memory === 0 ? "" : bytes(memory)}`;
    return fit(`model  ${printable(name)}${model.default ? " *" : ""}  ${what}`, columns);
  });
  return more > 0 ? [...shown, `       and ${more + 1} more models`] : shown;
}

function titles(view: View, columns: number, colours: Colours): string {
  const text = columnsFor(columns)
    .map(({ key, title, width, right }) => {
      const mark = key === view.sort ? (view.reverse ? "^" : "v") : "";
      return fit(`${title}${mark}`.slice(0, width), width, right);
    })
    .join(" ");
  return colours.inverse(fit(text, columns));
}

function line(row: Row, columns: number, marked: boolean, colours: Colours): string {
  const paint = stateColour(row.state, colours);
  const cellsOfRow = columnsFor(columns).map(({ key, text, width, right }) => {
    const cell = fit(text(row), width, right);
    return key === "state" && !marked ? paint(cell) : cell;
  });
  return marked ? colours.inverse(fit(cellsOfRow.join(" "), columns)) : cellsOfRow.join(" ");
}

function foot(
  view: View,
  note: string,
  shown: number,
  all: number,
  { columns }: Size,
  colours: Colours,
): string {
  if (view.prompt) {
    const { what, pid, text } = view.prompt;
    const asked = `${ASKS[what]}${pid === "" ? "" : ` ${pid}`}${what === "signal" ? " (TERM)" : ""}: `;
    const room = Math.max(1, columns - cells(asked) - 1);
    return fit(`${asked}${[...text].slice(-room).join("")}_`, columns);
  }
  if (note !== "") return colours.yellow(fit(printable(note), columns));
  const filtered =
    view.filter === "" ? "" : `${shown} of ${all} with "${printable(view.filter)}"  `;
  return colours.dim(fit(filtered + HINT, columns));
}

function helpPage({ columns, rows }: Size, colours: Colours): string[] {
  const lines = [
    colours.bold(fit("contix top: keys", columns)),
    "",
    ...KEYS.map(([keys, what]) => fit(`  ${keys.padEnd(28)}${what}`, columns)),
    "",
    fit(
      "  slots: D decodes, P prefills, . is free.  ON, WAIT: what a process waits for, and how long",
      columns,
    ),
    fit(
      "  PAGES: full pages of its contexts; RAM, SWAP: those kept there.  TOK/S: generated since the page before",
      columns,
    ),
    "",
    fit("  any key: back", columns),
  ];
  return lines.slice(0, rows);
}
