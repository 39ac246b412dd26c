/**
 * Inputs and outputs of an exported decoder, as Optimum and onnx-community lay them out:
 *
 *   input_ids [1, S], attention_mask [1, past + S], position_ids [1, S]
 *   past_key_values.N.key, .value [1, kvHeads, past, headDim]
 *   → logits [1, S, vocab], present.N.key, .value [1, kvHeads, past + S, headDim]
 *
 * Merged exports choose between two graphs by `use_cache_branch`; newer ones compute the
 * last `num_logits_to_keep` logits only. An input that is not listed here can not be
 * given, so a graph that has one is refused.
 */
import { z } from "zod";
import { ContixError } from "../../../proto/errno.js";
import type { GraphFile, GraphValue } from "./graph-file.js";

const Float = z.enum(["fp32", "fp16"]);
type Float = z.infer<typeof Float>;

/** Far more than any model has: beyond it a graph is damaged, or made to eat memory. */
const count = (most: number) => z.number().int().positive().max(most);

/** How a run of the graph is fed. */
export const Layout = z.object({
  /** Of each layer; lengths of its keys and values. */
  layers: z
    .array(z.object({ kvHeads: count(1_024), headDim: count(4_096) }))
    .min(1)
    .max(1_000),
  /** The type of keys and values. */
  kv: Float,
  logits: Float,
  vocab: count(10_000_000),
  mask: z.boolean(),
  positions: z.boolean(),
  cacheBranch: z.boolean(),
  /** Dimensions of num_logits_to_keep: a number or a list of one; null: no such input. */
  keepRank: z.union([z.literal(0), z.literal(1)]).nullable(),
  /** What the names of the outputs for keys and values start with. */
  present: z.string(),
});
export type Layout = z.infer<typeof Layout>;

/** What a graph may leave open, from config.json. */
export interface LayoutDefaults {
  readonly vocab: number | undefined;
  readonly kvHeads: number | undefined;
  readonly headDim: number | undefined;
}

/** TensorProto.DataType. */
const TYPE = { fp32: 1, int64: 7, bool: 9, fp16: 10 } as const;
const TYPE_NAMES: Readonly<Record<number, string>> = {
  1: "float32",
  2: "uint8",
  3: "int8",
  6: "int32",
  7: "int64",
  9: "bool",
  10: "float16",
  11: "float64",
  16: "bfloat16",
};

const PAST = /^past_key_values\.(\d{1,9})\.(key|value)$/;
const PRESENTS = ["present", "present_key_values"];

/** @throws ContixError EMODEL that names the input or output at fault */
export function layoutOf(graph: GraphFile, defaults: LayoutDefaults): Layout {
  const inputs = new Map(graph.inputs.map((value) => [value.name, value]));
  const outputs = new Map(graph.outputs.map((value) => [value.name, value]));
  const past = graph.inputs.filter(({ name }) => PAST.test(name));
  checkPlainInputs(inputs);
  if (past.length === 0) {
    throw refused(
      "it has no past_key_values inputs; export it with a cache (text-generation-with-past)",
    );
  }
  const present = PRESENTS.find((prefix) => outputs.has(`${prefix}.0.key`));
  if (present === undefined) throw refused('it has no output "present.0.key"');
  const logits = outputs.get("logits");
  if (logits === undefined) throw refused('it has no output "logits"');
  const vocab = logits.dims[2] ?? defaults.vocab;
  if (logits.dims.length !== 3 || !vocab)
    throw refused('output "logits" is not [1, tokens, vocab]');
  const floats = past.map((value) => float(value));
  const kv = floats[0] ?? "fp32";
  if (floats.some((type) => type !== kv)) throw refused("its past_key_values are of several types");
  const layout = Layout.safeParse({
    layers: layersOf(past, outputs, present, defaults),
    kv,
    logits: float(logits),
    vocab,
    mask: inputs.has("attention_mask"),
    positions: inputs.has("position_ids"),
    cacheBranch: inputs.has("use_cache_branch"),
    keepRank: keepRank(inputs.get("num_logits_to_keep")),
    present,
  });
  if (layout.success) return layout.data;
  const issue = layout.error.issues[0];
  throw refused(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
}

/** Type and dimensions of every input that is no key or value. */
function checkPlainInputs(inputs: ReadonlyMap<string, GraphValue>): void {
  const rules: Readonly<Record<string, { type: number; ranks: readonly number[] }>> = {
    input_ids: { type: TYPE.int64, ranks: [2] },
    attention_mask: { type: TYPE.int64, ranks: [2] },
    position_ids: { type: TYPE.int64, ranks: [2] },
    use_cache_branch: { type: TYPE.bool, ranks: [1] },
    num_logits_to_keep: { type: TYPE.int64, ranks: [0, 1] },
  };
  if (!inputs.has("input_ids")) throw refused('it has no input "input_ids"');
  for (const value of inputs.values()) {
    if (PAST.test(value.name)) continue;
    const rule = Object.hasOwn(rules, value.name) ? rules[value.name] : undefined;
    if (rule === undefined) {
      throw refused(`input "${value.name}" is none of a decoder that reads text`);
    }
    expectType(value, [rule.type]);
    if (!rule.ranks.includes(value.dims.length)) throw oddShape(value);
    // A batch of one and any number of tokens must be possible.
    if (value.dims.length === 2 && (value.dims[1] !== null || (value.dims[0] ?? 1) !== 1)) {
      throw oddShape(value);
    }
  }
}

function layersOf(
  past: readonly GraphValue[],
  outputs: ReadonlyMap<string, GraphValue>,
  present: string,
  defaults: LayoutDefaults,
): Layout["layers"] {
  const byName = new Map(past.map((value) => [value.name, value]));
  return Array.from({ length: Math.ceil(past.length / 2) }, (_, i) => {
    const shapes = ["key", "value"].map((part) => {
      const value = byName.get(`past_key_values.${i}.${part}`);
      if (value === undefined) throw refused(`it has no input "past_key_values.${i}.${part}"`);
      const output = outputs.get(`${present}.${i}.${part}`);
      if (output === undefined) throw refused(`it has no output "${present}.${i}.${part}"`);
      expectType(output, [value.type]);
      return kvShape(value, defaults);
    });
    const [key, values] = shapes;
    if (key === undefined || key.kvHeads !== values?.kvHeads || key.headDim !== values.headDim) {
      throw refused(`keys and values of layer ${i} differ in shape`);
    }
    return key;
  });
}

function kvShape(value: GraphValue, defaults: LayoutDefaults): Layout["layers"][number] {
  const [batch, heads, length, dim] = value.dims;
  const kvHeads = heads ?? defaults.kvHeads;
  const headDim = dim ?? defaults.headDim;
  if (value.dims.length !== 4 || (batch ?? 1) !== 1 || !kvHeads || !headDim) throw oddShape(value);
  if (length !== null) throw refused(`input "${value.name}" has a fixed length, ${length}`);
  return { kvHeads, headDim };
}

function keepRank(value: GraphValue | undefined): 0 | 1 | null {
  if (value === undefined) return null;
  return value.dims.length === 0 ? 0 : 1;
}

function float(value: GraphValue): Float {
  expectType(value, [TYPE.fp32, TYPE.fp16]);
  return value.type === TYPE.fp16 ? "fp16" : "fp32";
}

function expectType(value: GraphValue, types: readonly number[]): void {
  if (types.includes(value.type)) return;
  const names = (list: readonly number[]): string =>
    list.map((type) => TYPE_NAMES[type] ?? `type ${type}`).join(" or ");
  throw refused(`"${value.name}" is ${names([value.type])}; it must be ${names(types)}`);
}

function oddShape({ name, dims }: GraphValue): ContixError {
  return refused(`"${name}" has the shape [${dims.map((dim) => dim ?? "?").join(", ")}]`);
}

function refused(why: string): ContixError {
  return new ContixError("EMODEL", `the export can not be run: ${why}`);
}
