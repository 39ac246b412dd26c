/**
 * SmoothQuant (Xiao et al., 2023), folded into the weights of norms.
 *
 * Some features of a norm's output are tens of times as far from zero as the rest. One
 * scale for the whole row then leaves the rest a few of 255 steps. So each feature j is
 * divided by a factor s[j] and its column of the matrices that read it is multiplied by
 * s[j]: the product is the same, and both sides are easier to round.
 *
 *   s[j] = max|x[j]|^α / max|W[j]|^(1 - α)
 *
 * over a calibration text and over the matrices. The division costs nothing when it is
 * done to the norm's weights. Factors are powers of two, which divide and multiply
 * floats exactly: the smoothed model is the same model to the last bit.
 */
import type { Calibration } from "./calibrate.js";
import type { Form } from "./compiled.js";
import type { DecoderShape } from "./decoder-shape.js";
import { INT8_MOST, quantizeQ8 } from "./quantize.js";
import type { WeightSource } from "./weights.js";

/** How much of the unevenness moves from activations to weights: measured, ENGINE.md. */
const ALPHA = 0.65;
/** Features that stay at zero get no endless factor. */
const LEAST = 1e-5;
const ROWS_AT_ONCE = 1024;

/** Factors by the name of the tensor that they apply to. */
interface Factors {
  /** Norms: divided, one factor for each weight. */
  readonly norms: ReadonlyMap<string, Float32Array>;
  /** Matrices: each row multiplied, one factor for each column. */
  readonly matrices: ReadonlyMap<string, Float32Array>;
}

/** The weights of `source`, smoothed where the recipe is int8, and the scales of KV in int8. */
export async function withCalibration(
  source: WeightSource,
  shape: DecoderShape,
  form: Form,
  calibration: Calibration,
): Promise<WeightSource> {
  const factors = form.recipe === "int8" && (await factorsOf(source, shape, calibration));
  return {
    ...(factors ? smoothed(source, factors) : plain(source)),
    kvScale: (layer, part) => calibration.kv(layer, part).map((most) => most / INT8_MOST || 1),
  };
}

function plain(source: WeightSource): WeightSource {
  return {
    rows: (...range) => source.rows(...range),
    q8: (...range) => source.q8(...range),
    rotaryFactors: async () => source.rotaryFactors?.(),
  };
}

function smoothed(source: WeightSource, { norms, matrices }: Factors): WeightSource {
  const rows = async (tensor: string, first: number, count: number): Promise<Float32Array> => {
    const values = await source.rows(tensor, first, count);
    const divisors = norms.get(tensor);
    const factors = divisors?.map((divisor) => 1 / divisor) ?? matrices.get(tensor);
    return factors ? scaled(values, factors) : values;
  };
  const q8: WeightSource["q8"] = async (...range) =>
    matrices.has(range[0]) ? quantizeQ8(await rows(...range)) : source.q8(...range);
  return { ...plain(source), rows, q8 };
}

/** Rows of as many values as there are factors, each value times its column's. */
function scaled(values: Float32Array, factors: Float32Array): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < values.length; row += factors.length) {
    for (let j = 0; j < factors.length; j++) {
      out[row + j] = (values[row + j] ?? 0) * (factors[j] ?? 1);
    }
  }
  return out;
}

async function factorsOf(
  source: WeightSource,
  shape: DecoderShape,
  calibration: Calibration,
): Promise<Factors> {
  const norms = new Map<string, Float32Array>();
  const matrices = new Map<string, Float32Array>();
  for (const { norm, readers } of smoothable(shape)) {
    const weights = await columnMaxima(source, shape.hidden, readers);
    const factors = powersOfTwo(calibration.norm(norm), weights);
    norms.set(norm, factors);
    for (const { tensor } of readers) matrices.set(tensor, factors);
  }
  return { norms, matrices };
}

interface Reader {
  readonly tensor: string;
  readonly rows: number;
}

/** Norms whose output only matrices read, and those matrices. */
function* smoothable(shape: DecoderShape): Iterable<{ norm: string; readers: Reader[] }> {
  const { layers, heads, kvHeads, headDim, ffn } = shape;
  for (let i = 0; i < layers; i++) {
    const reader = (name: string, rows: number) => ({ tensor: `blk.${i}.${name}.weight`, rows });
    const [q, kv] = [heads * headDim, kvHeads * headDim];
    const attention = [reader("attn_q", q), reader("attn_k", kv), reader("attn_v", kv)];
    yield { norm: `blk.${i}.attn_norm.weight`, readers: attention };
    const gates = [reader("ffn_gate", ffn), reader("ffn_up", ffn)];
    yield { norm: `blk.${i}.ffn_norm.weight`, readers: gates };
  }
}

async function columnMaxima(
  source: WeightSource,
  cols: number,
  readers: readonly Reader[],
): Promise<Float32Array> {
  const most = new Float32Array(cols);
  for (const { tensor, rows } of readers) {
    for (let first = 0; first < rows; first += ROWS_AT_ONCE) {
      const values = await source.rows(tensor, first, Math.min(ROWS_AT_ONCE, rows - first));
      for (let row = 0; row < values.length; row += cols) {
        for (let j = 0; j < cols; j++) {
          const size = Math.abs(values[row + j] ?? 0);
          if (size > (most[j] ?? 0)) most[j] = size;
        }
      }
    }
  }
  return most;
}

/** The factors for features that reach `inputs` and columns that reach `weights`; 1 in the middle. */
function powersOfTwo(inputs: Float32Array, weights: Float32Array): Float32Array {
  const logs = Array.from(inputs, (input, j) => {
    const x = Math.log2(Math.max(input, LEAST));
    const w = Math.log2(Math.max(weights[j] ?? 0, LEAST));
    return ALPHA * x - (1 - ALPHA) * w;
  });
  const middle = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  return Float32Array.from(logs, (log) => 2 ** Math.round(log - middle));
}
