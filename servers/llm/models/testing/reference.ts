/**
 * A decoder's forward pass in plain TypeScript, straight from the formulas, with no
 * cache and no speed: the reference that the graph is held against.
 */
import {
  type Bias,
  biasTensors,
  type DecoderShape,
  globalRope,
  isLocal,
  localRope,
} from "../decoder-shape.js";
import { rotaryTable } from "../rotary.js";
import type { WeightSource } from "../weights.js";

type Rows = Float32Array[];

/** The logits [tokens, vocab] of a whole sequence. */
export async function referenceLogits(
  shape: DecoderShape,
  source: WeightSource,
  tokens: readonly number[],
): Promise<Float32Array[]> {
  const { hidden, vocab, embeddingScale = 1, logitSoftcap } = shape;
  const embedding = await source.rows("token_embd.weight", 0, vocab);
  let x: Rows = tokens.map((id) =>
    embedding.slice(id * hidden, (id + 1) * hidden).map((value) => value * embeddingScale),
  );
  for (let i = 0; i < shape.layers; i++) {
    const layer = new Layer(shape, source, i);
    const attended = await layer.attention(await layer.normalized(x, "attn_norm"));
    x = added(x, await layer.post(attended, "post_attention_norm"));
    const fed = await layer.feedForward(await layer.normalized(x, "ffn_norm"));
    x = added(x, await layer.post(fed, "post_ffw_norm"));
  }
  const last = normalized(x, await source.rows("output_norm.weight", 0, 1), shape.normEps);
  const head = shape.tied ? embedding : await source.rows("output.weight", 0, vocab);
  const logits = await biased(shape, source, "output", 0, 0, multiply(last, head));
  return logitSoftcap === undefined ? logits : logits.map((row) => capped(row, logitSoftcap));
}

class Layer {
  readonly #shape: DecoderShape;
  readonly #source: WeightSource;
  readonly #i: number;

  constructor(shape: DecoderShape, source: WeightSource, i: number) {
    this.#shape = shape;
    this.#source = source;
    this.#i = i;
  }

  async normalized(x: Rows, name: string): Promise<Rows> {
    return normalized(x, await this.#weights(name, 1), this.#shape.normEps);
  }

  async post(x: Rows, name: string): Promise<Rows> {
    return this.#shape.postNorms ? this.normalized(x, name) : x;
  }

  async attention(h: Rows): Promise<Rows> {
    const { heads, kvHeads, headDim, hidden } = this.#shape;
    const q = await this.#linear(h, "attn_q", heads * headDim, "qkv", 0);
    const k = await this.#linear(h, "attn_k", kvHeads * headDim, "qkv", 1);
    const v = await this.#linear(h, "attn_v", kvHeads * headDim, "qkv", 2);
    const rotation = await this.#rotation();
    const queries = (await this.#heads(q, "attn_q_norm")).map(rotation);
    const keys = (await this.#heads(k, "attn_k_norm")).map(rotation);
    const attended = attend(this.#shape, isLocal(this.#shape, this.#i), queries, keys, v);
    return this.#linear(attended, "attn_output", hidden, "attn_output", 0);
  }

  async feedForward(h: Rows): Promise<Rows> {
    const { ffn, hidden, activation } = this.#shape;
    const gate = await this.#linear(h, "ffn_gate", ffn, "ffn_gate", 0);
    const up = await this.#linear(h, "ffn_up", ffn, "ffn_up", 0);
    const activated = activation === "gelu" ? gelu : silu;
    const gated = gate.map((row, t) => row.map((value, i) => activated(value) * (up[t]?.[i] ?? 0)));
    return this.#linear(gated, "ffn_down", hidden, "ffn_down", 0);
  }

  #weights(name: string, rows: number): Promise<Float32Array> {
    return this.#source.rows(`blk.${this.#i}.${name}.weight`, 0, rows);
  }

  async #linear(x: Rows, name: string, rows: number, bias: Bias, part: number): Promise<Rows> {
    const y = multiply(x, await this.#weights(name, rows));
    return biased(this.#shape, this.#source, bias, this.#i, part, y);
  }

  /** Each head of each row normalized, where the model does so. */
  async #heads(rows: Rows, name: string): Promise<Rows> {
    const { headDim, qkNorm, normEps } = this.#shape;
    if (!qkNorm) return rows;
    const gamma = await this.#weights(name, 1);
    return rows.map((row) => {
      const heads = chunks(row, headDim);
      return Float32Array.from(normalized(heads, gamma, normEps).flatMap((head) => [...head]));
    });
  }

  /** Rotates every head of the row at a position: pairs are (i, i + headDim / 2). */
  async #rotation(): Promise<(row: Float32Array, position: number) => Float32Array> {
    const shape = this.#shape;
    const { local, headDim } = shape;
    const rope = local && isLocal(shape, this.#i) ? localRope(shape, local) : globalRope(shape);
    const factors = await this.#source.rotaryFactors?.();
    const cos = rotaryTable(rope, "cos", factors);
    const sin = rotaryTable(rope, "sin", factors);
    const half = headDim / 2;
    return (row, position) =>
      row.map((value, at) => {
        const i = at % headDim;
        const pair = i < half ? -(row[at + half] ?? 0) : (row[at - half] ?? 0);
        const angle = position * half + (i % half);
        return value * (cos[angle] ?? 0) + pair * (sin[angle] ?? 0);
      });
  }
}

/** Causal attention; a local layer sees only the last few positions. */
function attend(shape: DecoderShape, isLocal: boolean, q: Rows, k: Rows, v: Rows): Rows {
  const { heads, kvHeads, headDim, attentionSoftcap: cap } = shape;
  const scale = shape.attentionScale ?? 1 / Math.sqrt(headDim);
  const reach = isLocal ? (shape.local?.window ?? 0) : Number.POSITIVE_INFINITY;
  return q.map((query, position) => {
    const first = Math.max(0, position - reach + 1);
    const seen = k.slice(first, position + 1);
    const out = new Float32Array(heads * headDim);
    for (let head = 0; head < heads; head++) {
      const shared = Math.floor(head / (heads / kvHeads)) * headDim;
      const mine = query.subarray(head * headDim, (head + 1) * headDim);
      const raw = seen.map((key) => dot(mine, key.subarray(shared, shared + headDim)) * scale);
      const scores = cap === undefined ? raw : raw.map((score) => cap * Math.tanh(score / cap));
      const top = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - top));
      const sum = weights.reduce((a, b) => a + b, 0);
      for (let i = 0; i < headDim; i++) {
        const mixed = weights.reduce((a, w, t) => a + w * (v[first + t]?.[shared + i] ?? 0), 0);
        out[head * headDim + i] = mixed / sum;
      }
    }
    return out;
  });
}

async function biased(
  shape: DecoderShape,
  source: WeightSource,
  bias: Bias,
  layer: number,
  part: number,
  y: Rows,
): Promise<Rows> {
  const name = biasTensors(bias, layer)[part];
  if (!shape.biases?.includes(bias) || name === undefined) return y;
  const vector = await source.rows(name, 0, 1);
  return y.map((row) => row.map((value, i) => value + (vector[i] ?? 0)));
}

function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function capped(row: Float32Array, cap: number): Float32Array {
  return row.map((value) => cap * Math.tanh(value / cap));
}

function normalized(x: Rows, gamma: Float32Array, epsilon: number): Rows {
  return x.map((row) => {
    const scale = 1 / Math.sqrt(dot(row, row) / row.length + epsilon);
    return row.map((value, i) => value * scale * (gamma[i] ?? 0));
  });
}

/** x · matrixᵀ for each row, matrix [rows, row length]. */
function multiply(x: Rows, matrix: Float32Array): Rows {
  return x.map((row) => {
    const out = new Float32Array(matrix.length / row.length);
    for (let i = 0; i < out.length; i++) {
      out[i] = dot(row, matrix.subarray(i * row.length, (i + 1) * row.length));
    }
    return out;
  });
}

function chunks(row: Float32Array, length: number): Rows {
  return Array.from({ length: row.length / length }, (_, i) =>
    row.subarray(i * length, (i + 1) * length),
  );
}

function added(a: Rows, b: Rows): Rows {
  return a.map((row, t) => row.map((value, i) => value + (b[t]?.[i] ?? 0)));
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
