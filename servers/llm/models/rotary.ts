/**
 * Rotary positions: how fast each pair of a head's values turns, and the tables of
 * cosines and sines that attention reads.
 *
 * Pair i turns by theta^(-2i/d) a position. Scaled models turn slower, so that they
 * see farther than they were trained for: `linear` by one factor for all pairs, llama 3
 * by a divisor for each pair (a tensor of the file), `yarn` (Peng et al. 2023,
 * arXiv:2309.00071, as in ggml's rope_yarn) by the whole factor for pairs that turn less
 * than `betaSlow` times in the original window, not at all for those that turn more than
 * `betaFast` times, and by a mixture between them.
 */

/** One kind of rotary positions: a table of cosines and one of sines. */
export interface Rope {
  readonly theta: number;
  /** Values of a head. */
  readonly headDim: number;
  /** Positions of the table. */
  readonly window: number;
  readonly scaling?: RopeScaling;
}

/** How a model stretches its positions; `factor` is how much farther it sees. */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number; readonly magnitude: number }
  | {
      readonly type: "yarn";
      readonly factor: number;
      /** What both tables are multiplied by, beyond what yarn itself does. */
      readonly magnitude: number;
      /** The window that the model was made for before it was stretched. */
      readonly originalWindow: number;
      readonly betaFast: number;
      readonly betaSlow: number;
    };

/** cos or sin of position * frequency [window, headDim / 2]; `factors` divide the frequencies. */
export function rotaryTable(rope: Rope, part: "cos" | "sin", factors?: Float32Array): Float32Array {
  const half = rope.headDim / 2;
  const table = new Float32Array(rope.window * half);
  const of = Math[part];
  const scale = magnitude(rope.scaling);
  for (let i = 0; i < half; i++) {
    const own = rope.theta ** ((-2 * i) / rope.headDim) / (factors?.[i] ?? 1);
    const frequency = own * slowing(rope, i);
    for (let position = 0; position < rope.window; position++) {
      table[position * half + i] = of(position * frequency) * scale;
    }
  }
  return table;
}

/** What scaling leaves of the speed of pair `i`. */
function slowing(rope: Rope, i: number): number {
  const { scaling } = rope;
  if (scaling === undefined) return 1;
  const slow = 1 / scaling.factor;
  if (scaling.type === "linear") return slow;
  const first = Math.max(
    0,
    Math.floor(pairThatTurns(rope, scaling.originalWindow, scaling.betaFast)),
  );
  const last = Math.min(
    rope.headDim - 1,
    Math.ceil(pairThatTurns(rope, scaling.originalWindow, scaling.betaSlow)),
  );
  const along = (i - first) / Math.max(0.001, last - first);
  const kept = 1 - Math.min(1, Math.max(0, along));
  return slow * (1 - kept) + kept;
}

/** The pair, a fraction, that turns `times` times in `window` positions. */
function pairThatTurns(rope: Rope, window: number, times: number): number {
  return (rope.headDim * Math.log(window / (times * 2 * Math.PI))) / (2 * Math.log(rope.theta));
}

/** Slowed positions make attention flatter; yarn sharpens it again through its tables. */
function magnitude(scaling: RopeScaling | undefined): number {
  if (scaling === undefined) return 1;
  const sharper = scaling.type === "yarn" ? 1 + 0.1 * Math.log(scaling.factor) : 1;
  return scaling.magnitude * sharper;
}
