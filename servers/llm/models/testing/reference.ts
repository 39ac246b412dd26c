/**
 * A llama forward pass in plain TypeScript, straight from the formulas, with no
 * cache and no speed: the reference that the graph is held against.
 */
import type { DecoderShape } from "../decoder-shape.js";
import type { WeightSource } from "../weights.js";

/** The logits [tokens, vocab] of a whole sequence. */
export async function referenceLogits(
  shape: DecoderShape,
  source: WeightSource,
  tokens: readonly number[],
): Promise<Float32Array[]> {
  const { hidden, heads, kvHeads, headDim, ffn, vocab } = shape;
  const embedding = await source.rows("token_embd.weight", 0, vocab);
  let x: Float32Array[] = tokens.map((id) => embedding.slice(id * hidden, (id + 1) * hidden));
  for (let layer = 0; layer < shape.layers; layer++) {
    const weights = (name: string, rows: number) =>
      source.rows(`blk.${layer}.${name}.weight`, 0, rows);
    const h = await normalized(x, await weights("attn_norm", 1), shape.normEps);
    const q = multiply(h, await weights("attn_q", heads * headDim));
    const k = multiply(h, await weights("attn_k", kvHeads * headDim));
    const v = multiply(h, await weights("attn_v", kvHeads * headDim));
    const attended = attention(shape, q, k, v);
    x = added(x, multiply(attended, await weights("attn_output", hidden)));
    const m = await normalized(x, await weights("ffn_norm", 1), shape.normEps);
    const gate = multiply(m, await weights("ffn_gate", ffn));
    const up = multiply(m, await weights("ffn_up", ffn));
    const gated = gate.map((row, t) =>
      row.map((value, i) => (value / (1 + Math.exp(-value))) * (up[t]?.[i] ?? 0)),
    );
    x = added(x, multiply(gated, await weights("ffn_down", hidden)));
  }
  const last = await normalized(x, await source.rows("output_norm.weight", 0, 1), shape.normEps);
  const head = shape.tied ? embedding : await source.rows("output.weight", 0, vocab);
  return multiply(last, head);
}

/** Causal attention with rotary positions: pairs are (i, i + headDim / 2). */
function attention(
  shape: DecoderShape,
  q: readonly Float32Array[],
  k: readonly Float32Array[],
  v: readonly Float32Array[],
): Float32Array[] {
  const { heads, kvHeads, headDim } = shape;
  const rotated = (rows: readonly Float32Array[], count: number) =>
    rows.map((row, position) => {
      const parts = Array.from({ length: count }, (_, head) =>
        rotate(shape, row.subarray(head * headDim, (head + 1) * headDim), position),
      );
      return Float32Array.from(parts.flatMap((part) => [...part]));
    });
  const queries = rotated(q, heads);
  const keys = rotated(k, kvHeads);
  return queries.map((query, position) => {
    const out = new Float32Array(heads * headDim);
    for (let head = 0; head < heads; head++) {
      const shared = Math.floor(head / (heads / kvHeads)) * headDim;
      const mine = query.subarray(head * headDim, (head + 1) * headDim);
      const scores = keys
        .slice(0, position + 1)
        .map((key) => dot(mine, key.subarray(shared, shared + headDim)) / Math.sqrt(headDim));
      const top = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - top));
      const sum = weights.reduce((a, b) => a + b, 0);
      for (let i = 0; i < headDim; i++) {
        out[head * headDim + i] =
          weights.reduce((a, weight, t) => a + weight * (v[t]?.[shared + i] ?? 0), 0) / sum;
      }
    }
    return out;
  });
}

function rotate(shape: DecoderShape, head: Float32Array, position: number): Float32Array {
  const half = shape.headDim / 2;
  return head.map((value, i) => {
    const angle = position * shape.ropeTheta ** ((-2 * (i % half)) / shape.headDim);
    const pair = i < half ? -(head[i + half] ?? 0) : (head[i - half] ?? 0);
    return value * Math.cos(angle) + pair * Math.sin(angle);
  });
}

async function normalized(
  x: readonly Float32Array[],
  gamma: Float32Array,
  epsilon: number,
): Promise<Float32Array[]> {
  return x.map((row) => {
    const scale = 1 / Math.sqrt(dot(row, row) / row.length + epsilon);
    return row.map((value, i) => value * scale * (gamma[i] ?? 0));
  });
}

/** x · matrixᵀ for each row, matrix [rows, row length]. */
function multiply(x: readonly Float32Array[], matrix: Float32Array): Float32Array[] {
  return x.map((row) => {
    const out = new Float32Array(matrix.length / row.length);
    for (let i = 0; i < out.length; i++) {
      out[i] = dot(row, matrix.subarray(i * row.length, (i + 1) * row.length));
    }
    return out;
  });
}

function added(a: readonly Float32Array[], b: readonly Float32Array[]): Float32Array[] {
  return a.map((row, t) => row.map((value, i) => value + (b[t]?.[i] ?? 0)));
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
