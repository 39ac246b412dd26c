/** Figures and tables as people read them. */
import { stripVTControlCharacters } from "node:util";

/** Thousands with commas: 12345 is `12,345`. */
export function count(n: number | bigint): string {
  return n.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** Bytes in binary units: 98362432 is `93.8 MiB`. */
export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = n;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}

/** A time span: `0`, `850 us`, `12 ms`, `3.4 s`, `4m05s`, `2h10m`, `3d04h`. */
export function duration(us: number): string {
  if (us <= 0) return "0";
  if (us < 999.5) return `${Math.round(us)} us`;
  if (us < 999_500) return `${Math.round(us / 1_000)} ms`;
  if (us < 59_950_000) return `${(us / 1e6).toFixed(1)} s`;
  return longSpan(Math.round(us / 1e6));
}

function longSpan(seconds: number): string {
  const two = (n: number): string => n.toString().padStart(2, "0");
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  if (seconds < 86_400)
    return `${Math.floor(seconds / 3_600)}h${two(Math.floor((seconds % 3_600) / 60))}m`;
  return `${Math.floor(seconds / 86_400)}d${two(Math.floor((seconds % 86_400) / 3_600))}h`;
}

/** A rate with a sensible number of digits: `7.31`, `73.1`, `731`. */
export function rate(n: number): string {
  if (!Number.isFinite(n)) return "-";
  if (n >= 100) return count(Math.round(n));
  return n.toFixed(n >= 10 ? 1 : 2);
}

export interface Column {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly right?: boolean;
}

/**
 * A table with two spaces between columns and no lines. Cells may hold colours; the last column
 * is not padded, so that nothing wraps that need not.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  header: (text: string) => string = (text) => text,
): string {
  const titles = columns.map((column) => column.title);
  const widths = titles.map((title, i) =>
    Math.max(width(title), ...rows.map((row) => width(row[i] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, i) => pad(cells[i] ?? "", widths[i] ?? 0, column, i === columns.length - 1))
      .join("  ")
      .trimEnd();
  return [header(line(titles)), ...rows.map(line)].join("\n");
}

function pad(text: string, to: number, column: Column, last: boolean): string {
  const gap = " ".repeat(Math.max(0, to - width(text)));
  if (column.right === true) return gap + text;
  return last ? text : text + gap;
}

function width(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/** Cuts `text` to `columns` characters, an ellipsis for what is missing. */
export function clip(text: string, columns: number): string {
  const characters = [...text];
  if (characters.length <= columns) return text;
  return columns <= 1 ? "…".slice(0, columns) : `${characters.slice(0, columns - 1).join("")}…`;
}

/** `text` as at most `lines` lines of `columns` characters, broken at spaces. */
export function wrap(text: string, columns: number, lines: number): string[] {
  const words = text.trim().split(/\s+/).filter(Boolean);
  const result: string[] = [];
  let line = "";
  for (const [i, word] of words.entries()) {
    const longer = line === "" ? word : `${line} ${word}`;
    if ([...longer].length <= columns || line === "") {
      line = longer;
      continue;
    }
    if (result.length === lines - 1) {
      result.push(clip(`${line} ${words.slice(i).join(" ")}`, columns));
      return result;
    }
    result.push(clip(line, columns));
    line = word;
  }
  if (line !== "") result.push(clip(line, columns));
  return result;
}
