/** A small random BERT as sentence-transformers lays it out, and what it computes; for tests. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

export const TINY_BERT = {
  layers: 2,
  hidden: 32,
  heads: 4,
  ffn: 48,
  vocab: 40,
  positions: 24,
  normEps: 1e-12,
};

/** Tensors by name: shape and values. */
export type Weights = ReadonlyMap<string, { shape: readonly number[]; values: Float32Array }>;

const WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ..."abcdefghijklmnopqrstuvwxyz", "##a", "##b"];

/** Weights drawn from a seed. */
export function tinyBertWeights(seed = 7): Weights {
  const { layers, hidden, ffn, vocab, positions } = TINY_BERT;
  const draw = mulberry(seed);
  const weights = new Map<string, { shape: readonly number[]; values: Float32Array }>();
  const add = (name: string, shape: readonly number[], around = 0, spread = 0.6) => {
    const length = shape.reduce((product, dim) => product * dim, 1);
    const values = Float32Array.from({ length }, () => around + (draw() - 0.5) * spread);
    weights.set(name, { shape, values });
  };
  const norm = (name: string) => {
    add(`${name}.weight`, [hidden], 1);
    add(`${name}.bias`, [hidden]);
  };
  const linear = (name: string, rows: number, cols: number) => {
    add(`${name}.weight`, [rows, cols]);
    add(`${name}.bias`, [rows]);
  };
  add("embeddings.word_embeddings.weight", [vocab, hidden], 0, 2);
  add("embeddings.position_embeddings.weight", [positions, hidden]);
  add("embeddings.token_type_embeddings.weight", [2, hidden]);
  norm("embeddings.LayerNorm");
  for (let i = 0; i < layers; i++) {
    const at = `encoder.layer.${i}`;
    for (const part of ["query", "key", "value"]) {
      linear(`${at}.attention.self.${part}`, hidden, hidden);
    }
    linear(`${at}.attention.output.dense`, hidden, hidden);
    norm(`${at}.attention.output.LayerNorm`);
    linear(`${at}.intermediate.dense`, ffn, hidden);
    linear(`${at}.output.dense`, hidden, ffn);
    norm(`${at}.output.LayerNorm`);
  }
  return weights;
}

/** Writes the model into `dir`. */
export async function tinyBert(dir: string, weights = tinyBertWeights()): Promise<void> {
  const { layers, hidden, heads, ffn, vocab, positions, normEps } = TINY_BERT;
  await mkdir(join(dir, "1_Pooling"), { recursive: true });
  await writeFile(join(dir, "model.safetensors"), safetensors(weights));
  const files = {
    "config.json": {
      model_type: "bert",
      vocab_size: vocab,
      hidden_size: hidden,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      intermediate_size: ffn,
      max_position_embeddings: positions,
      layer_norm_eps: normEps,
      hidden_act: "gelu",
    },
    "sentence_bert_config.json": { max_seq_length: 16 },
    "1_Pooling/config.json": { pooling_mode_cls_token: false, pooling_mode_mean_tokens: true },
    "tokenizer.json": tokenizer(),
  };
  for (const [name, json] of Object.entries(files)) {
    await writeFile(join(dir, name), JSON.stringify(json));
  }
}

/** The bytes of a safetensors file. */
export function safetensors(weights: Weights): Buffer {
  let at = 0;
  const head: Record<string, object> = {};
  for (const [name, { shape, values }] of weights) {
    head[name] = { dtype: "F32", shape, data_offsets: [at, at + values.byteLength] };
    at += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const tensors = [...weights.values()].map(({ values }) => Buffer.from(values.buffer));
  return Buffer.concat([length, json, ...tensors]);
}

/** The vectors [tokens][hidden] after the last layer, straight from the formulas. */
export function referenceBert(weights: Weights, ids: readonly number[]): Float64Array[] {
  const { hidden, heads } = TINY_BERT;
  const get = (name: string) => weights.get(name)?.values ?? new Float32Array();
  const row = (name: string, i: number) => get(name).subarray(i * hidden, (i + 1) * hidden);
  const linear = (x: readonly Float64Array[], name: string) =>
    x.map((values) =>
      Float64Array.from(get(`${name}.bias`), (bias, r) => {
        const matrix = get(`${name}.weight`).subarray(r * values.length, (r + 1) * values.length);
        return bias + dot(values, matrix);
      }),
    );
  const norm = (x: readonly Float64Array[], name: string) =>
    x.map((values) => {
      const mean = values.reduce((a, b) => a + b, 0) / hidden;
      const spread = values.reduce((a, b) => a + (b - mean) ** 2, 0) / hidden;
      const scale = 1 / Math.sqrt(spread + TINY_BERT.normEps);
      return values.map(
        (v, i) =>
          (v - mean) * scale * (get(`${name}.weight`)[i] ?? 0) + (get(`${name}.bias`)[i] ?? 0),
      );
    });
  const attention = (x: readonly Float64Array[], at: string) => {
    const [q = [], k = [], v = []] = ["query", "key", "value"].map((p) => linear(x, `${at}.${p}`));
    const size = hidden / heads;
    return q.map((query) => {
      const out = new Float64Array(hidden);
      for (let from = 0; from < hidden; from += size) {
        const part = (values: Float64Array) => values.subarray(from, from + size);
        const scores = k.map((key) => Math.exp(dot(part(query), part(key)) / Math.sqrt(size)));
        const sum = scores.reduce((a, b) => a + b, 0);
        for (let i = from; i < from + size; i++) {
          out[i] = scores.reduce((a, score, t) => a + (score / sum) * (v[t]?.[i] ?? 0), 0);
        }
      }
      return out;
    });
  };
  const added = (a: readonly Float64Array[], b: readonly Float64Array[]) =>
    a.map((values, t) => values.map((value, i) => value + (b[t]?.[i] ?? 0)));

  let x = ids.map((id, t) => {
    const word = row("embeddings.word_embeddings.weight", id);
    const place = row("embeddings.position_embeddings.weight", t);
    const type = row("embeddings.token_type_embeddings.weight", 0);
    return Float64Array.from(word, (value, i) => value + (place[i] ?? 0) + (type[i] ?? 0));
  });
  x = norm(x, "embeddings.LayerNorm");
  for (let i = 0; i < TINY_BERT.layers; i++) {
    const at = `encoder.layer.${i}`;
    const mixed = linear(attention(x, `${at}.attention.self`), `${at}.attention.output.dense`);
    const middle = norm(added(x, mixed), `${at}.attention.output.LayerNorm`);
    const wide = linear(middle, `${at}.intermediate.dense`).map((values) => values.map(gelu));
    x = norm(added(middle, linear(wide, `${at}.output.dense`)), `${at}.output.LayerNorm`);
  }
  return x;
}

function gelu(x: number): number {
  return (x * (1 + erf(x / Math.SQRT2))) / 2;
}

/** Abramowitz and Stegun 7.1.26: 1.5e-7 off at most. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const poly =
    ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - poly * Math.exp(-x * x));
}

function dot(a: Float64Array, b: ArrayLike<number>): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}

function tokenizer(): object {
  const special = (id: number) => ({
    id,
    content: WORDS[id],
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  });
  const around = (name: string) => ({ SpecialToken: { id: name, type_id: 0 } });
  const named = (name: string, id: number) => [name, { id: name, ids: [id], tokens: [name] }];
  return {
    version: "1.0",
    added_tokens: [0, 1, 2, 3].map(special),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [around("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, around("[SEP]")],
      pair: [],
      special_tokens: Object.fromEntries([named("[CLS]", 2), named("[SEP]", 3)]),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
    },
  };
}

/** Numbers in [0, 1): mulberry32. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
