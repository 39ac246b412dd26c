/**
 * Matrices of the graph in each recipe: how they lie in the external data file,
 * and the nodes that multiply by them or look rows up in them.
 *
 * - `fp32`: float rows as they are, `Gemm` with the matrix transposed.
 * - `q8`: each row in blocks of 32: 32 bytes, one float scale and one byte of
 *   zero point, value = (byte - zero) * scale; `MatMulNBits` at accuracy level 4
 *   quantizes activations per row and block, so no row depends on a neighbour.
 * - `int8`: one signed byte a value and one scale a row, see graph-int8.ts. The
 *   embedding stays q8: looking rows up costs nothing.
 */
import type { Recipe } from "./compiled.js";
import { linearInt8 } from "./graph-int8.js";
import { DataType, type GraphBuilder, MICROSOFT, type Region } from "./graph-nodes.js";
import type { Rope } from "./rotary.js";

/** Elements of a row that share one scale and zero point. */
export const Q8_BLOCK = 32;

/** Rows taken from one tensor of the source model. */
export interface MatrixPart {
  readonly source: string;
  readonly rows: number;
}

/** Something to write into the external data file. */
export type WeightPlan =
  | {
      readonly kind: "rotary";
      readonly rope: Rope;
      readonly part: "cos" | "sin";
      readonly region: Region;
    }
  | {
      readonly kind: "vector";
      readonly source: string;
      readonly length: number;
      readonly region: Region;
    }
  | {
      readonly kind: "fp32";
      readonly parts: readonly MatrixPart[];
      readonly cols: number;
      readonly region: Region;
    }
  | {
      readonly kind: "q8";
      readonly parts: readonly MatrixPart[];
      readonly cols: number;
      readonly region: Region;
      readonly scales: Region;
      readonly zeros: Region;
    }
  | {
      readonly kind: "int8";
      readonly parts: readonly MatrixPart[];
      readonly cols: number;
      /** [cols, rows]: the transpose of the others. */
      readonly region: Region;
      readonly scales: Region;
    }
  | {
      readonly kind: "kv_scale";
      readonly layer: number;
      readonly part: "k" | "v";
      readonly region: Region;
    };

/**
 * What a matrix multiplies, as far as int8 has to know: the output of a norm, which
 * can be smoothed; what attention gives, which needs none; or values with outliers
 * that only a second pass catches. The embedding only looks rows up.
 */
export type MatrixInput = "norm" | "attention" | "outliers" | "lookup";

/** A planned matrix: y = x · matrixᵀ, matrix [rows, cols]. */
export interface Matrix {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
  readonly input: MatrixInput;
  readonly plan: WeightPlan & { readonly kind: Recipe };
}

/** Reserves a matrix, the rows of `parts` one under the other, in the form of `recipe`. */
export function planMatrix(
  g: GraphBuilder,
  recipe: Recipe,
  name: string,
  parts: readonly MatrixPart[],
  cols: number,
  input: MatrixInput,
): Matrix {
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  if (recipe === "fp32") {
    const region = g.weight(`${name}.w`, DataType.FLOAT, [rows, cols]);
    return { name, rows, cols, input, plan: { kind: "fp32", parts, cols, region } };
  }
  if (recipe === "int8" && input !== "lookup") {
    const region = g.weight(`${name}.b`, DataType.INT8, [cols, rows]);
    const scales = g.weight(`${name}.scale`, DataType.FLOAT, [rows]);
    return { name, rows, cols, input, plan: { kind: "int8", parts, cols, region, scales } };
  }
  const blocks = cols / Q8_BLOCK;
  const region = g.weight(`${name}.q`, DataType.UINT8, [rows, blocks, Q8_BLOCK]);
  const scales = g.weight(`${name}.scale`, DataType.FLOAT, [rows, blocks]);
  const zeros = g.weight(`${name}.zero`, DataType.UINT8, [rows, blocks]);
  return { name, rows, cols, input, plan: { kind: "q8", parts, cols, region, scales, zeros } };
}

/** Adds y = x · matrixᵀ with x [n, cols]; returns y's name. */
export function linear(g: GraphBuilder, matrix: Matrix, x: string, y = `${matrix.name}.y`): string {
  const { name, rows, cols, plan } = matrix;
  if (plan.kind === "fp32") return g.node("Gemm", [x, `${name}.w`], [y], { transB: { i: 1 } });
  if (plan.kind === "int8") return linearInt8(g, matrix, x, y);
  const inputs = [x, `${name}.q`, `${name}.scale`, `${name}.zero`];
  const attributes = {
    K: { i: cols },
    N: { i: rows },
    bits: { i: 8 },
    block_size: { i: Q8_BLOCK },
    accuracy_level: { i: 4 },
  };
  return g.node("MatMulNBits", inputs, [y], attributes, MICROSOFT);
}

/** Adds the rows of `matrix` that `ids` [n] names, as float [n, cols]; returns their name. */
export function embed(g: GraphBuilder, matrix: Matrix, ids: string, y: string): string {
  const { name, rows, cols, plan } = matrix;
  if (plan.kind === "fp32") return g.node("Gather", [`${name}.w`, ids], [y], { axis: { i: 0 } });
  // The same bytes under the shape that this operator wants.
  g.alias(`${name}.rows`, DataType.UINT8, [rows, cols], plan.region);
  const inputs = [`${name}.rows`, ids, `${name}.scale`, `${name}.zero`];
  const attributes = {
    gather_axis: { i: 0 },
    quantize_axis: { i: 1 },
    block_size: { i: Q8_BLOCK },
    bits: { i: 8 },
  };
  return g.node("GatherBlockQuantized", inputs, [y], attributes, MICROSOFT);
}
