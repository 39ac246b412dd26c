/** A comparison as a picture: pages hit by memory, a line a policy, a panel a workload. SVG. */
import type { Comparison } from "./compare.js";

const PANEL = { width: 460, height: 300, left: 62, right: 16, top: 34, bottom: 52 };
const LEGEND = 34;
/** Told apart by dash as well as by colour. */
const STYLES: Record<string, { readonly colour: string; readonly dash: string }> = {
  optimum: { colour: "#555555", dash: "2 3" },
  lru: { colour: "#c2571a", dash: "7 4" },
  cost: { colour: "#2f7d4f", dash: "10 3 2 3" },
  agent: { colour: "#1f5fb4", dash: "" },
};
const TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1];

interface Point {
  readonly bytes: number;
  readonly share: number;
}

/** The whole file. Panels stand in two columns, the legend above them. */
export function plot(comparisons: readonly Comparison[]): string {
  const columns = Math.min(2, comparisons.length);
  const width = columns * PANEL.width;
  const height = LEGEND + Math.ceil(comparisons.length / columns) * PANEL.height;
  const panels = comparisons.map((comparison, i) => {
    const [x, y] = [(i % columns) * PANEL.width, LEGEND + Math.floor(i / columns) * PANEL.height];
    return `<g transform="translate(${x} ${y})">${panel(comparison)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    "<title>Page hits by policy and page memory, beside the optimum</title>",
    `<rect width="${width}" height="${height}" fill="white"/>`,
    legend(comparisons),
    ...panels,
    "</svg>\n",
  ].join("\n");
}

function legend(comparisons: readonly Comparison[]): string {
  const names = [...new Set(comparisons.flatMap((each) => [...lines(each).keys()]))];
  return names
    .map((name, i) => {
      const x = PANEL.left + i * 90;
      return `<line x1="${x}" x2="${x + 26}" y1="20" y2="20" ${stroke(name)}/><text x="${x + 32}" y="24">${escaped(name)}</text>`;
    })
    .join("");
}

function panel(comparison: Comparison): string {
  const { width, height, left, right, top, bottom } = PANEL;
  const most = Math.max(1, ...comparison.sizes.map(({ bytes }) => bytes)) / 1e9;
  const x = (bytes: number): number => left + ((width - left - right) * bytes) / 1e9 / most;
  const y = (share: number): number => height - bottom - (height - top - bottom) * share;
  const axes = TICKS.map((tick) => {
    const [across, down] = [x(tick * most * 1e9), y(tick)];
    return (
      `<line x1="${left}" x2="${width - right}" y1="${round(down)}" y2="${round(down)}" stroke="#dddddd"/>` +
      `<text x="${left - 6}" y="${round(down + 4)}" text-anchor="end">${Math.round(tick * 100)}</text>` +
      `<text x="${round(across)}" y="${height - bottom + 16}" text-anchor="middle">${(tick * most).toPrecision(2)}</text>`
    );
  });
  const drawn = [...lines(comparison)].map(([name, points]) => line(name, points, x, y));
  const middle = (top + height - bottom) / 2;
  return [
    `<text x="${left}" y="${top - 12}" font-weight="bold">${escaped(comparison.workload)}</text>`,
    ...axes,
    `<text x="${(left + width - right) / 2}" y="${height - 14}" text-anchor="middle">memory for pages (GB)</text>`,
    `<text x="16" y="${middle}" text-anchor="middle" transform="rotate(-90 16 ${middle})">pages hit (%)</text>`,
    ...drawn,
  ].join("");
}

function line(
  name: string,
  points: readonly Point[],
  x: (bytes: number) => number,
  y: (share: number) => number,
): string {
  const places = points.map(({ bytes, share }) => [round(x(bytes)), round(y(share))] as const);
  const dots = places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" ${fill(name)}/>`);
  const path = places.map((place) => place.join(",")).join(" ");
  return `<polyline points="${path}" fill="none" ${stroke(name)}/>${dots.join("")}`;
}

/** Each policy's line, and the optimum's, by memory. */
function lines({ sizes }: Comparison): Map<string, Point[]> {
  const all = new Map<string, Point[]>();
  const add = (name: string, point: Point): void => {
    const points = all.get(name) ?? [];
    all.set(name, points);
    points.push(point);
  };
  for (const { bytes, optimum, rows } of [...sizes].sort((a, b) => a.bytes - b.bytes)) {
    add("optimum", { bytes, share: optimum.hitRate });
    for (const { policy, hitRate } of rows) add(policy, { bytes, share: hitRate });
  }
  return all;
}

function stroke(name: string): string {
  const { colour, dash } = STYLES[name] ?? { colour: "black", dash: "" };
  return `stroke="${colour}" stroke-width="2"${dash === "" ? "" : ` stroke-dasharray="${dash}"`}`;
}

function fill(name: string): string {
  return `fill="${STYLES[name]?.colour ?? "black"}"`;
}

function round(x: number): number {
  return Math.round(x * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
