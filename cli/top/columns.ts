/**
 * The columns of `contix top`: what each shows and sorts by, and which of them a narrow
 * terminal keeps.
 */
import { count, duration, rate } from "../format.js";
import { orderBy, orderProcesses, type ProcessKey } from "../processes.js";
import { printable } from "./cells.js";
import type { Row } from "./reading.js";

export type SortKey = ProcessKey | "tok/s";

interface Column {
  readonly key: SortKey;
  readonly title: string;
  /** Cells; the name has what the others leave. */
  readonly width: number;
  readonly right: boolean;
  readonly text: (row: Row) => string;
}

const CLASSES = { realtime: "real", interactive: "inter", batch: "batch" } as const;
/** Of the name: at least, and more where there is room. */
const NAME_CELLS = 12;
const NAME_MORE = 40;

const left = (key: SortKey, title: string, width: number, text: Column["text"]): Column => {
  return { key, title, width, right: false, text };
};
const right = (key: SortKey, title: string, width: number, text: Column["text"]): Column => {
  return { key, title, width, right: true, text };
};
const span = (ms: number): string => duration(ms * 1000);

/** From the left to the right. */
export const COLUMNS: readonly Column[] = [
  left("pid", "PID", 8, ({ pid }) => pid),
  left("name", "NAME", NAME_CELLS, ({ name }) => printable(name)),
  left("state", "STATE", 8, ({ state }) => state),
  right("tok/s", "TOK/S", 6, (row) => (row.tokensPerSecond > 0 ? rate(row.tokensPerSecond) : "0")),
  right("out", "OUT", 9, (row) => count(row.tokensOut)),
  left("on", "ON", 8, ({ state, waitingOn }) => (state === "zombie" ? "" : waitingOn) || "-"),
  right("wait", "WAIT", 7, (row) => span(row.waitingMs)),
  left("class", "CLASS", 5, (row) => CLASSES[row.class]),
  right("nice", "NI", 3, ({ nice }) => String(nice)),
  right("in", "IN", 9, (row) => count(row.tokensIn)),
  right("pages", "PAGES", 6, ({ pages }) => count(pages)),
  right("slot", "SLOT", 4, ({ slot }) => (slot === null ? "-" : String(slot))),
  right("ram", "RAM", 6, (row) => count(row.pagesInMemory)),
  right("swap", "SWAP", 6, (row) => count(row.pagesSwapped)),
  right("queued", "QUEUED", 7, (row) => span(row.queuedMs)),
  right("age", "AGE", 7, (row) => span(row.ageMs)),
  left("group", "GROUP", 8, ({ group }) => group),
  left("principal", "PRINCIPAL", 12, (row) => printable(row.principal)),
  left("model", "MODEL", 20, (row) => printable(row.models.join(",")) || "-"),
];

/** The first columns of COLUMNS that fit into `width` cells, a space between each two. */
export function columnsFor(width: number): readonly Column[] {
  const kept: Column[] = [];
  let used = -1;
  for (const column of COLUMNS) {
    if (used + 1 + column.width > width) break;
    used += 1 + column.width;
    kept.push(column);
  }
  const spare = Math.min(width - used, NAME_MORE);
  return kept.map((column) =>
    column.key === "name" ? { ...column, width: column.width + spare } : column,
  );
}

/** What is listed, and in which order. */
export interface Order {
  readonly sort: SortKey;
  readonly reverse: boolean;
  readonly filter: string;
}

/** The rows that the filter lets through, in the order that was asked for. */
export function arrange(rows: readonly Row[], { sort, reverse, filter }: Order): Row[] {
  const wanted = filter.toLowerCase();
  const matching = rows.filter(({ pid, name, principal, state, class: kind }) =>
    [pid, name, principal, state, kind].some((text) => text.toLowerCase().includes(wanted)),
  );
  return sort === "tok/s"
    ? orderBy(matching, (row) => row.tokensPerSecond, reverse)
    : orderProcesses(matching, sort, reverse);
}
