/**
 * A small builder of ONNX graphs: nodes, inline constants, and weights whose
 * bytes live in the external data file. It knows ONNX, and nothing of models.
 */
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type GraphProto,
  ModelProto,
  type TensorProto,
  type ValueInfoProto,
} from "../../../proto/gen/onnx/onnx.js";

export { DataType };

/** An attribute: integer, float, text, or list of integers. */
export type Attribute =
  | { readonly i: number }
  | { readonly f: number }
  | { readonly s: string }
  | { readonly ints: readonly number[] };

/** Where a weight's bytes lie in the external data file. */
export interface Region {
  readonly offset: number;
  readonly length: number;
}

const IR_VERSION = 10n;
const ONNX_OPSET = 21n;
const ALIGNMENT = 64;
const BYTES: Partial<Record<DataType, number>> = {
  [DataType.FLOAT]: 4,
  [DataType.INT8]: 1,
  [DataType.UINT8]: 1,
  [DataType.INT32]: 4,
  [DataType.INT64]: 8,
};

export const MICROSOFT = "com.microsoft";

/** Collects a graph in topological order. Names of nodes are their first output's. */
export class GraphBuilder {
  readonly #graph: GraphProto;
  readonly #location: string;
  readonly #made = new Set<string>();
  #end = 0;

  /** `location`: the external data file, relative to the model file. */
  constructor(name: string, location: string) {
    this.#graph = { name, node: [], initializer: [], input: [], output: [] };
    this.#location = location;
  }

  /** Bytes of the external data file so far. */
  get externalBytes(): number {
    return this.#end;
  }

  input(name: string, type: DataType, dims: readonly (number | string)[]): string {
    this.#graph.input.push(valueInfo(name, type, dims));
    return name;
  }

  output(name: string, type: DataType, dims: readonly (number | string)[]): void {
    this.#graph.output.push(valueInfo(name, type, dims));
  }

  /** Adds a node; `outputs` are the names it gives. Returns the first. */
  node(
    opType: string,
    inputs: readonly string[],
    outputs: readonly [string, ...string[]],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): string {
    this.#graph.node.push({
      opType,
      domain,
      name: outputs[0],
      input: [...inputs],
      output: [...outputs],
      attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
    });
    return outputs[0];
  }

  /** An int64 vector kept inside the model file. */
  int64(name: string, values: readonly number[]): string {
    const raw = Buffer.alloc(values.length * 8);
    values.forEach((value, i) => {
      raw.writeBigInt64LE(BigInt(value), i * 8);
    });
    this.#graph.initializer.push({
      ...tensor(name, DataType.INT64, [values.length]),
      rawData: raw,
    });
    return name;
  }

  /** Whether this is the first time that `key` is asked for: what several nodes share is made once. */
  first(key: string): boolean {
    if (this.#made.has(key)) return false;
    this.#made.add(key);
    return true;
  }

  /** A byte kept inside the model file, as a scalar. */
  byte(name: string, value: number): string {
    const scalar = tensor(name, DataType.UINT8, []);
    this.#graph.initializer.push({ ...scalar, rawData: Buffer.of(value) });
    return name;
  }

  /** A float kept inside the model file, as a scalar. */
  float(name: string, value: number): string {
    const raw = Buffer.alloc(4);
    raw.writeFloatLE(value);
    this.#graph.initializer.push({ ...tensor(name, DataType.FLOAT, []), rawData: raw });
    return name;
  }

  /** Reserves a weight in the external data file; somebody else writes its bytes there. */
  weight(name: string, type: DataType, dims: readonly number[]): Region {
    const size = BYTES[type];
    if (size === undefined) throw new TypeError(`no external weights of type ${DataType[type]}`);
    const offset = Math.ceil(this.#end / ALIGNMENT) * ALIGNMENT;
    const length = dims.reduce((product, dim) => product * dim, size);
    this.#end = offset + length;
    this.alias(name, type, dims, { offset, length });
    return { offset, length };
  }

  /** Another name and shape for the bytes of a weight. */
  alias(name: string, type: DataType, dims: readonly number[], region: Region): void {
    this.#graph.initializer.push({
      ...tensor(name, type, dims),
      dataLocation: DataLocation.EXTERNAL,
      externalData: [
        { key: "location", value: this.#location },
        { key: "offset", value: String(region.offset) },
        { key: "length", value: String(region.length) },
      ],
    });
  }

  /** The bytes of the model file. */
  encode(producerVersion: string): Uint8Array {
    return ModelProto.encode({
      irVersion: IR_VERSION,
      producerName: "contix",
      producerVersion,
      graph: this.#graph,
      opsetImport: [
        { domain: "", version: ONNX_OPSET },
        { domain: MICROSOFT, version: 1n },
      ],
      metadataProps: [],
    }).finish();
  }
}

function tensor(name: string, dataType: DataType, dims: readonly number[]): TensorProto {
  return {
    name,
    dataType,
    dims: dims.map(BigInt),
    rawData: Buffer.alloc(0),
    externalData: [],
    dataLocation: DataLocation.DEFAULT,
  };
}

function valueInfo(
  name: string,
  elemType: DataType,
  dims: readonly (number | string)[],
): ValueInfoProto {
  const dim = dims.map((d) =>
    typeof d === "number"
      ? ({ value: { $case: "dimValue", value: BigInt(d) } } as const)
      : ({ value: { $case: "dimParam", value: d } } as const),
  );
  return { name, type: { value: { $case: "tensorType", value: { elemType, shape: { dim } } } } };
}

function attribute(name: string, value: Attribute): AttributeProto {
  const empty: AttributeProto = {
    name,
    f: 0,
    i: 0n,
    s: Buffer.alloc(0),
    t: undefined,
    floats: [],
    ints: [],
    strings: [],
    type: AttributeType.UNDEFINED,
  };
  if ("i" in value) return { ...empty, i: BigInt(value.i), type: AttributeType.INT };
  if ("f" in value) return { ...empty, f: value.f, type: AttributeType.FLOAT };
  if ("s" in value) return { ...empty, s: Buffer.from(value.s), type: AttributeType.STRING };
  return { ...empty, ints: value.ints.map(BigInt), type: AttributeType.INTS };
}
