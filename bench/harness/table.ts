/** Markdown for people: aligned, so that it reads in a terminal too. */
import type { Report } from "./report.js";

/** A Markdown table; numbers in it are text already. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]) {
  const widths = head.map((title, i) =>
    Math.max(3, title.length, ...rows.map((row) => (row[i] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, i) => (cells[i] ?? "").padEnd(width)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** A report as a section of Markdown. */
export function reportTable(report: Report): string {
  const { machine, load, parameters } = report;
  const rows = report.figures.map(({ id, unit, median, min, max }) => [
    id,
    ...[median, min, max].map(number),
    unit,
  ]);
  const chosen = Object.entries(parameters).map(([name, value]) => `${name} ${value}`);
  return [
    `## ${report.suite}${report.quick ? " (quick: not for the record)" : ""}, ${report.startedAt}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.kernels}; Node ${machine.node}, ` +
      `ONNX Runtime ${machine.onnxruntime}; commit ${machine.commit.slice(0, 12)}${machine.dirty ? " with changes" : ""}.`,
    `Load ${load.atStart} at the start, ${load.atEnd} at the end; others used ${load.foreignCores} cores.`,
    `${chosen.join(", ")}.`,
    "",
    markdownTable(["figure", "median", "min", "max", "unit"], rows),
    ...report.notes.map((note) => `\n${note}`),
  ].join("\n");
}

/** Four digits are more than any of these measurements carry. */
export function number(x: number): string {
  const size = Math.abs(x);
  if (size === 0 || size >= 1000) return x.toFixed(0);
  return x.toFixed(Math.max(0, Math.min(5, 3 - Math.floor(Math.log10(size)))));
}
