/** The time of a decision by how many bursts want a slot, a line a policy: SVG, size by its logarithm. */
import type { Figure } from "../harness/report.js";

const AREA = { width: 560, height: 340, left: 62, right: 110, top: 34, bottom: 52 };
const STYLES = ["#555555", "#2f7d4f", "#c2571a", "#a08010", "#1f5fb4", "#8a4fb0"];
const GOAL_US = 100;

/** @param figures those of the suite: `<policy>.<size>`; others are left out */
export function decisionsPlot(figures: readonly Figure[], goal = GOAL_US): string {
  const lines = new Map<string, { readonly size: number; readonly us: number }[]>();
  for (const { id, median } of figures) {
    const [policy = "", size = ""] = id.split(".");
    if (!/^\d+$/.test(size)) continue;
    lines.set(policy, [...(lines.get(policy) ?? []), { size: Number(size), us: median }]);
  }
  const points = [...lines.values()].flat();
  const sizes = [...new Set(points.map(({ size }) => size))].sort((a, b) => a - b);
  const most = Math.max(goal, ...points.map(({ us }) => us)) * 1.1;
  const { width, height, left, right, top, bottom } = AREA;
  const [low, high] = [Math.log10(sizes[0] ?? 1), Math.log10(sizes.at(-1) ?? 10)];
  const x = (size: number): number =>
    round(left + ((width - left - right) * (Math.log10(size) - low)) / Math.max(1, high - low));
  const y = (us: number): number => round(height - bottom - ((height - top - bottom) * us) / most);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const [down, text] = [y(share * most), (share * most).toPrecision(2)];
    return `<line x1="${left}" x2="${width - right}" y1="${down}" y2="${down}" stroke="#dddddd"/><text x="${left - 6}" y="${down + 4}" text-anchor="end">${text}</text>`;
  });
  const places = sizes.map(
    (size) =>
      `<text x="${x(size)}" y="${height - bottom + 16}" text-anchor="middle">${size}</text>`,
  );
  const drawn = [...lines].map(([policy, row], i) => {
    const colour = STYLES[i % STYLES.length] ?? "black";
    const path = row.map(({ size, us }) => `${x(size)},${y(us)}`).join(" ");
    const at = top + 16 * i;
    return (
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>` +
      `<line x1="${width - right + 12}" x2="${width - right + 34}" y1="${at}" y2="${at}" stroke="${colour}" stroke-width="2"/>` +
      `<text x="${width - right + 40}" y="${at + 4}">${policy}</text>`
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    "<title>Time of a scheduling decision by policy and length of the queue</title>",
    `<rect width="${width}" height="${height}" fill="white"/>`,
    `<text x="${left}" y="${top - 12}" font-weight="bold">a decision (µs); dashed: the goal</text>`,
    ...ticks,
    ...places,
    `<line x1="${left}" x2="${width - right}" y1="${y(goal)}" y2="${y(goal)}" stroke="black" stroke-dasharray="5 4"/>`,
    `<text x="${(left + width - right) / 2}" y="${height - 14}" text-anchor="middle">bursts that want a slot</text>`,
    ...drawn,
    "</svg>\n",
  ].join("\n");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
