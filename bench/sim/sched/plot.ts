/** A sweep as a picture: mean response and p99 of programs by load, a line a policy. SVG. */
import type { LoadRows, PolicyRow } from "./summary.js";

const PANEL = { width: 460, height: 300, left: 62, right: 16, top: 34, bottom: 52 };
const LEGEND = 34;
/** Told apart by dash as well as by colour. */
const STYLES: Readonly<Record<string, { readonly colour: string; readonly dash: string }>> = {
  fifo: { colour: "#c2571a", dash: "7 4" },
  rr: { colour: "#2f7d4f", dash: "10 3 2 3" },
  program: { colour: "#1f5fb4", dash: "" },
  fair: { colour: "#8a4fb0", dash: "4 4" },
  mlfq: { colour: "#a08010", dash: "12 4" },
  priority: { colour: "#b03060", dash: "2 6" },
  srpt: { colour: "#555555", dash: "2 3" },
};

interface Panel {
  readonly title: string;
  readonly of: (row: PolicyRow) => number;
}
const PANELS: readonly Panel[] = [
  { title: "mean response of programs (s)", of: ({ meanResponse }) => meanResponse },
  { title: "p99 response of programs (s)", of: ({ p99 }) => p99 },
];

/** The whole file; undefined with less than two loads, of which there is no line. */
export function plot(workload: string, loads: readonly LoadRows[]): string | undefined {
  if (loads.length < 2) return undefined;
  const width = PANELS.length * PANEL.width;
  const height = LEGEND + PANEL.height;
  const panels = PANELS.map((panel, i) => {
    return `<g transform="translate(${i * PANEL.width} ${LEGEND})">${drawn(panel, loads)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(workload)}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    legend(policiesOf(loads)),
    ...panels,
    "</svg>\n",
  ].join("\n");
}

function legend(policies: readonly string[]): string {
  return policies
    .map((name, i) => {
      const x = PANEL.left + i * 100;
      return `<line x1="${x}" x2="${x + 26}" y1="20" y2="20" ${stroke(name)}/><text x="${x + 32}" y="24">${escaped(name)}</text>`;
    })
    .join("");
}

function drawn({ title, of }: Panel, loads: readonly LoadRows[]): string {
  const { width, height, left, right, top, bottom } = PANEL;
  const [from, to] = [Math.min(...loads.map(load)), Math.max(...loads.map(load))];
  const most = Math.max(...loads.flatMap(({ rows }) => rows.map(of)));
  const x = (at: number): number => left + ((width - left - right) * (at - from)) / (to - from);
  const y = (value: number): number => height - bottom - ((height - top - bottom) * value) / most;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const down = round(y(share * most));
    return (
      `<line x1="${left}" x2="${width - right}" y1="${down}" y2="${down}" stroke="#dddddd"/>` +
      `<text x="${left - 6}" y="${down + 4}" text-anchor="end">${(share * most).toPrecision(3)}</text>`
    );
  });
  const places = loads.map(
    ({ load }) =>
      `<text x="${round(x(load))}" y="${height - bottom + 16}" text-anchor="middle">${load}</text>`,
  );
  const lines = policiesOf(loads).map((name) => {
    const points = loads.flatMap(({ load, rows }) =>
      rows
        .filter(({ policy }) => policy === name)
        .map((row) => `${round(x(load))},${round(y(of(row)))}`),
    );
    return `<polyline points="${points.join(" ")}" fill="none" ${stroke(name)}/>`;
  });
  return [
    `<text x="${left}" y="${top - 12}" font-weight="bold">${title}</text>`,
    ...ticks,
    ...places,
    `<text x="${(left + width - right) / 2}" y="${height - 14}" text-anchor="middle">offered load (of the capacity)</text>`,
    ...lines,
  ].join("");
}

const load = ({ load }: LoadRows): number => load;

function policiesOf(loads: readonly LoadRows[]): string[] {
  return [...new Set(loads.flatMap(({ rows }) => rows.map(({ policy }) => policy)))];
}

function stroke(name: string): string {
  const { colour, dash } = STYLES[name] ?? { colour: "black", dash: "" };
  return `stroke="${colour}" stroke-width="2"${dash === "" ? "" : ` stroke-dasharray="${dash}"`}`;
}

function round(x: number): number {
  return Math.round(x * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
