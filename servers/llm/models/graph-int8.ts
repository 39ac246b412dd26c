/**
 * Matrix products of recipe `int8`: 8-bit activations times 8-bit weights, summed in
 * 32-bit integers, so exact, whatever kernel of whatever width computes them.
 *
 * A row x of activations is quantized by itself, s = max|x| / 127, q = round(x / s) + 128,
 * because a scale of the whole batch would let a row's neighbours change its answer
 * (DynamicQuantizeMatMul has one). Weights have one scale for each output. Then
 *
 *   y = s * (q - 128) · W                        one pass
 *
 * One pass is enough where activations are even: after a norm whose weights took over
 * the smoothing of Xiao et al., "SmoothQuant" (2023; see smooth.ts), and after attention.
 * The product of gate and up, and the head's input, have outliers that leave the other
 * values a handful of steps. There what rounding lost is quantized once more, 254 times
 * finer, and goes along as a second row:
 *
 *   r = x - s * (q - 128),  q' = round(r / (s / 254)) + 128
 *   y = s * (q - 128) · W + (s / 254) * (q' - 128) · W      two passes, 16 bits in effect
 *
 * A decode step is bound by reading W, which is read once for both: a pass costs little.
 * A row of zeros has s = 0; whatever its bytes are then, times s they give zero.
 */
import { type GraphBuilder, MICROSOFT } from "./graph-nodes.js";
import type { Matrix } from "./graph-weights.js";

/** Adds y = x · matrixᵀ with x [n, cols] for a matrix planned as int8; returns y's name. */
export function linearInt8(g: GraphBuilder, matrix: Matrix, x: string, y: string): string {
  constants(g);
  // The head sees fewer rows than the layers.
  const zeros = zeroPoints(g, x, matrix.name === "head" ? "head" : "layers");
  const hi = quantize(g, x, matrix.cols, zeros);
  if (matrix.input !== "outliers") return scaled(g, matrix, hi, `${x}.s`, y);
  const both = secondPass(g, x, matrix.cols, zeros);
  const sums = scaled(g, matrix, both.rows, both.scales, `${matrix.name}.passes`);
  const halves = [`${matrix.name}.hi`, `${matrix.name}.lo`] as const;
  g.node("Split", [sums], halves, { axis: { i: 0 }, num_outputs: { i: 2 } });
  return g.node("Add", halves, [y]);
}

function constants(g: GraphBuilder): void {
  if (!g.first("int8.constants")) return;
  g.float("int8.one", 1);
  g.float("int8.step", 1 / 127);
  g.float("int8.fine", 1 / 254);
  g.byte("int8.zero", 128);
  g.int64("int8.last_axis", [-1]);
  g.int64("int8.unit", [1]);
}

/** The zero point once for each row of `x`, as QuantizeLinear wants it; shared by all of `scope`. */
function zeroPoints(g: GraphBuilder, x: string, scope: string): string {
  const name = `int8.zeros.${scope}`;
  if (!g.first(name)) return name;
  g.node("Shape", [x], [`${name}.rows`], { start: { i: 0 }, end: { i: 1 } });
  g.node("Concat", [`${name}.rows`, "int8.unit"], [`${name}.shape`], { axis: { i: 0 } });
  return g.node("Expand", ["int8.zero", `${name}.shape`], [name]);
}

/** The bytes of x; its scales [n, 1] are `${x}.s`. Made once for all matrices that read x. */
function quantize(g: GraphBuilder, x: string, cols: number, zeros: string): string {
  if (!g.first(`${x}.q`)) return `${x}.q`;
  g.node("Abs", [x], [`${x}.abs`]);
  g.node("ReduceMax", [`${x}.abs`, "int8.last_axis"], [`${x}.max`], { keepdims: { i: 1 } });
  g.node("Mul", [`${x}.max`, "int8.step"], [`${x}.s`]);
  return g.node("QuantizeLinear", [x, `${x}.s`, zeros], [`${x}.q`], perRow(cols));
}

/** Both passes' rows, one under the other, and their scales. */
function secondPass(g: GraphBuilder, x: string, cols: number, zeros: string) {
  g.node("DequantizeLinear", [`${x}.q`, `${x}.s`, zeros], [`${x}.near`], perRow(cols));
  g.node("Sub", [x, `${x}.near`], [`${x}.rest`]);
  g.node("Mul", [`${x}.s`, "int8.fine"], [`${x}.rest.s`]);
  g.node("QuantizeLinear", [`${x}.rest`, `${x}.rest.s`, zeros], [`${x}.rest.q`], perRow(cols));
  const below = { axis: { i: 0 } };
  const rows = g.node("Concat", [`${x}.q`, `${x}.rest.q`], [`${x}.both.q`], below);
  const scales = g.node("Concat", [`${x}.s`, `${x}.rest.s`], [`${x}.both.s`], below);
  return { rows, scales };
}

function scaled(g: GraphBuilder, matrix: Matrix, rows: string, scales: string, y: string): string {
  const { name } = matrix;
  const inputs = [rows, `${name}.b`, "int8.one", `${name}.scale`, "int8.zero"];
  g.node("MatMulIntegerToFloat", inputs, [`${name}.sums`], {}, MICROSOFT);
  return g.node("Mul", [`${name}.sums`, scales], [y]);
}

/** One block a row: a scale for each. */
function perRow(cols: number) {
  return { axis: { i: 1 }, block_size: { i: cols } };
}
