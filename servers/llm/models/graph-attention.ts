/**
 * Attention of one layer: from the joined rows of q, k and v to the joined heads.
 *
 * GroupQueryAttention takes q, k and v as one tensor, rotates q and k, writes keys and
 * values in place and attends. Where a model normalizes each head of q and k before
 * they are rotated, the three are split first.
 */
import type { DecoderShape } from "./decoder-shape.js";
import { isLocal } from "./decoder-shape.js";
import { type Attribute, type GraphBuilder, MICROSOFT } from "./graph-nodes.js";

/** Names of the weights that attention reads. */
export interface AttentionWeights {
  /** Tables [window, headDim / 2]. */
  readonly cos: string;
  readonly sin: string;
  /** Weights [headDim] of the norms of each head of q and of k. */
  readonly headNorms?: { readonly q: string; readonly k: string };
  /** Scales [kvHeads, headDim] of keys and values that are kept as int8. */
  readonly kvScales?: { readonly k: string; readonly v: string };
}

/** Constants that the attention of every layer shares. */
export function attentionConstants(g: GraphBuilder, shape: DecoderShape): void {
  const { heads, kvHeads, headDim } = shape;
  g.int64("attention_rows", [-1, heads * headDim]);
  g.int64("qkv_features", [(heads + 2 * kvHeads) * headDim]);
  g.node("Shape", ["input_ids"], ["batch_shape"]);
  g.node("Concat", ["batch_shape", "qkv_features"], ["qkv_shape"], { axis: { i: 0 } });
  if (!shape.qkNorm) return;
  // In a shape, 0 means: as it is.
  for (const [part, count] of [
    ["q", heads],
    ["k", kvHeads],
  ] as const) {
    g.int64(`${part}_heads`, [0, 0, count, headDim]);
    g.int64(`${part}_joined`, [0, 0, count * headDim]);
  }
  g.int64("qkv_split", [heads * headDim, kvHeads * headDim, kvHeads * headDim]);
}

/** Attention of layer `i` over `qkv` [B*S, (heads + 2 kvHeads) headDim]; gives [B*S, heads headDim]. */
export function attend(
  g: GraphBuilder,
  shape: DecoderShape,
  i: number,
  qkv: string,
  weights: AttentionWeights,
): string {
  const joined = g.node("Reshape", [qkv, "qkv_shape"], [`${i}.qkv3`]);
  const { headNorms } = weights;
  const [q, k, v] = headNorms
    ? normalizedHeads(g, shape, i, joined, headNorms)
    : ([joined, "", ""] as const);
  const inputs = [q, k, v, `past_k.${i}`, `past_v.${i}`, "seqlens_k", "total_len"];
  const outputs = [`${i}.attention3`, `present_k.${i}`, `present_v.${i}`] as const;
  const { cos, sin, kvScales } = weights;
  // Between the tables and the scales: positions, a bias and a sink, which are not used.
  const scales = kvScales ? ["", "", "", kvScales.k, kvScales.v] : [];
  const settings = { ...attributes(shape, i), ...(kvScales && INT8_KV) };
  g.node("GroupQueryAttention", [...inputs, cos, sin, ...scales], outputs, settings, MICROSOFT);
  return g.node("Reshape", [outputs[0], "attention_rows"], [`${i}.attended`]);
}

const INT8_KV: Record<string, Attribute> = {
  k_quant_type: { s: "PER_CHANNEL" },
  v_quant_type: { s: "PER_CHANNEL" },
  kv_cache_bit_width: { i: 8 },
};

function attributes(shape: DecoderShape, i: number): Record<string, Attribute> {
  const { heads, kvHeads, attentionScale, attentionSoftcap, local } = shape;
  return {
    num_heads: { i: heads },
    kv_num_heads: { i: kvHeads },
    do_rotary: { i: 1 },
    rotary_interleaved: { i: 0 },
    ...(attentionScale !== undefined && { scale: { f: attentionScale } }),
    ...(attentionSoftcap !== undefined && { softcap: { f: attentionSoftcap } }),
    ...(local && isLocal(shape, i) && { local_window_size: { i: local.window } }),
  };
}

/** Splits q, k and v, and normalizes each head of q and k. */
function normalizedHeads(
  g: GraphBuilder,
  shape: DecoderShape,
  i: number,
  joined: string,
  norms: { readonly q: string; readonly k: string },
): readonly [string, string, string] {
  const parts = [`${i}.q`, `${i}.k`, `${i}.v`] as const;
  g.node("Split", [joined, "qkv_split"], parts, { axis: { i: -1 } });
  const normalized = (part: "q" | "k"): string => {
    const heads = g.node("Reshape", [`${i}.${part}`, `${part}_heads`], [`${i}.${part}.heads`]);
    const attributes = { axis: { i: -1 }, epsilon: { f: shape.normEps } };
    const inputs = [heads, norms[part]];
    g.node("SimplifiedLayerNormalization", inputs, [`${i}.${part}.normed`], attributes);
    return g.node("Reshape", [`${i}.${part}.normed`, `${part}_joined`], [`${i}.${part}.joined`]);
  };
  return [normalized("q"), normalized("k"), parts[2]];
}
