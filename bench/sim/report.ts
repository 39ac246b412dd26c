/** A comparison for people: tables for a terminal. */
import { markdownTable } from "../harness/table.js";
import type { Comparison, Row } from "./compare.js";

const GB = 1e9;

export function comparisonTable(comparison: Comparison): string {
  const { workload, assumptions, contexts, turns, lookups, repeats, peak, longest, blocks } =
    comparison;
  const rows = comparison.sizes.flatMap(({ frames, bytes, optimum, likely, rows }) => [
    [memory(frames, bytes), "optimum", percent(optimum.hitRate), "100.0 %", "", "", ""],
    ...(likely ? [["", "bound", ...shares(likely, optimum), "", "", ""]] : []),
    ...rows.map((row) => ["", ...policyCells(row)]),
  ]);
  return [
    `## ${workload}`,
    `${contexts} contexts, ${turns} turns, longest history ${longest} tokens; ${lookups} pages looked up, ` +
      `${percent(repeats / Math.max(1, lookups))} of them not for the first time; never more than ${peak} of use at once` +
      `${blocks > 0 ? `; ${blocks} pages of swap` : ""}.`,
    `Assumed: ${assumptions}.`,
    "",
    markdownTable(
      ["frames", "policy", "pages hit", "of optimum", "tokens rebuilt", "rebuilding", "moved"],
      rows,
    ),
  ].join("\n");
}

function policyCells({ policy, hitRate, ofOptimum, rebuilt, rebuiltUs, moved }: Row): string[] {
  const time = `${Math.round(rebuiltUs / 1e6)} s`;
  return [
    policy,
    percent(hitRate),
    percent(ofOptimum),
    `${rebuilt}`,
    time,
    `${(moved / GB).toFixed(1)} GB`,
  ];
}

function shares(likely: { hits: number; hitRate: number }, optimum: { hits: number }): string[] {
  return [percent(likely.hitRate), percent(likely.hits / Math.max(1, optimum.hits))];
}

function memory(frames: number, bytes: number): string {
  return `${frames} (${(bytes / GB).toFixed(2)} GB)`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
