/**
 * The engine's cost out of what was measured.
 *
 * Steps: least squares, by the normal equations. Steps with and without rows, with and
 * without a chunk, at several contexts, tell its parts apart; each step counts by its
 * relative error, so that long ones do not decide alone.
 *
 * Moves of pages: what a page took in the middle one of all moves of a kind. A move is
 * disturbed now and then, by the disk above all, and a mean would be of that.
 */
import { summarize } from "../../harness/stats.js";
import { DEFAULT_COST, EngineCost, type StepWork } from "./cost.js";

export interface MeasuredStep extends StepWork {
  readonly us: number;
}

/** Pages that moved together: between slot and RAM, from the swap file, to it. */
export interface MeasuredMove {
  readonly kind: keyof typeof MOVES;
  readonly pages: number;
  readonly us: number;
}

/** What of the cost a kind of move tells. */
const MOVES = { page: "pageUs", read: "readUs", write: "writeUs" } as const;

/** The parts that are fitted, each with what of a step it is paid for. */
const PARTS = {
  decodeUs: ({ width }: StepWork): number => (width > 0 ? 1 : 0),
  rowUs: ({ width }: StepWork): number => width,
  contextUs: ({ context }: StepWork): number => context,
  chunkUs: ({ chunk }: StepWork): number => (chunk > 0 ? 1 : 0),
  tokenUs: ({ chunk }: StepWork): number => chunk,
  depthUs: ({ chunk, start }: StepWork): number => chunk * (start + chunk / 2),
};
type Part = keyof typeof PARTS;
const NAMES = Object.keys(PARTS) as Part[];

/**
 * The cost that fits these steps best; what is not part of a step is as by default. A part
 * that would come out below zero is zero, and the others are fitted without it.
 * @throws Error when the steps do not tell the parts apart
 */
export function fitCost(steps: readonly MeasuredStep[]): EngineCost {
  if (steps.length < NAMES.length) throw new Error(`${steps.length} steps are too few to fit`);
  let parts = NAMES;
  while (true) {
    const values = leastSquares(steps, parts);
    const negative = parts.filter((_, i) => (values[i] ?? 0) < 0);
    if (negative.length === 0) {
      const fitted = parts.map((name, i) => [name, values[i] ?? 0]);
      const none = NAMES.map((name) => [name, 0]);
      return EngineCost.parse({
        ...DEFAULT_COST,
        ...Object.fromEntries(none),
        ...Object.fromEntries(fitted),
      });
    }
    parts = parts.filter((name) => !negative.includes(name));
  }
}

/**
 * What moving a page costs, of each kind.
 * @throws Error when a kind was not measured
 */
export function fitMoves(
  moves: readonly MeasuredMove[],
): Pick<EngineCost, (typeof MOVES)[keyof typeof MOVES]> {
  const of = (kind: MeasuredMove["kind"]): number => {
    const each = moves.filter((move) => move.kind === kind && move.pages > 0);
    if (each.length === 0) throw new Error(`no move of the kind ${kind} to fit`);
    return summarize(each.map(({ us, pages }) => us / pages)).median;
  };
  return { pageUs: of("page"), readUs: of("read"), writeUs: of("write") };
}

function leastSquares(steps: readonly MeasuredStep[], parts: readonly Part[]): number[] {
  const rows = parts.map(() => new Array<number>(parts.length + 1).fill(0));
  for (const step of steps) {
    const x = parts.map((name) => PARTS[name](step) / step.us);
    rows.forEach((row, i) => {
      x.forEach((value, j) => {
        row[j] = (row[j] ?? 0) + (x[i] ?? 0) * value;
      });
      row[parts.length] = (row[parts.length] ?? 0) + (x[i] ?? 0);
    });
  }
  return solved(rows);
}

/** Gauss and Jordan, with the largest pivot; the right side is the last column. */
function solved(rows: number[][]): number[] {
  const n = rows.length;
  const scale = rows.map((row, i) => Math.sqrt(row[i] ?? 0) || 1);
  rows.forEach((row, i) => {
    for (let j = 0; j < n; j++) row[j] = (row[j] ?? 0) / (scale[i] ?? 1) / (scale[j] ?? 1);
    row[n] = (row[n] ?? 0) / (scale[i] ?? 1);
  });
  for (let i = 0; i < n; i++) {
    let best = i;
    for (let k = i + 1; k < n; k++) {
      if (Math.abs(rows[k]?.[i] ?? 0) > Math.abs(rows[best]?.[i] ?? 0)) best = k;
    }
    const pivot = rows[best] ?? [];
    if (Math.abs(pivot[i] ?? 0) < 1e-9) throw new Error("the steps do not tell the parts apart");
    rows[best] = rows[i] ?? [];
    rows[i] = pivot;
    for (let k = 0; k < n; k++) {
      const row = rows[k] ?? [];
      const factor = k === i ? 0 : (row[i] ?? 0) / (pivot[i] ?? 1);
      for (let j = i; j <= n; j++) row[j] = (row[j] ?? 0) - factor * (pivot[j] ?? 0);
    }
  }
  return rows.map((row, i) => (row[n] ?? 0) / (row[i] ?? 1) / (scale[i] ?? 1));
}
