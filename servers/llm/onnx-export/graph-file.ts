/**
 * What an ONNX file says of itself: inputs, outputs, operators, and the files its weights
 * lie in. Read without its weights (proto-file.ts). Field numbers are onnx.proto's.
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { basename } from "node:path";
import { ContixError } from "../../../proto/errno.js";
import { ValueInfoProto } from "../../../proto/gen/onnx/onnx.js";
import { ProtoFile, type Range } from "./proto-file.js";

/** An input or output of a graph. */
export interface GraphValue {
  readonly name: string;
  /** TensorProto.DataType; 0 for what is no tensor. */
  readonly type: number;
  /** A length, or null where it is known at run time only. */
  readonly dims: readonly (number | null)[];
}

export interface GraphFile {
  /** Those that a run must be given: initializers are none. */
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  /** Operator types, those of subgraphs and functions too. */
  readonly ops: ReadonlySet<string>;
  /** Where weights lie outside the file, as the file writes it. */
  readonly external: ReadonlySet<string>;
}

const MODEL = { graph: 7, functions: 25 } as const;
const GRAPH = { node: 1, initializer: 5, input: 11, output: 12, sparse: 15 } as const;
const NODE = { opType: 4, attribute: 5 } as const;
const FUNCTION_NODE = 7;
const ATTRIBUTE = { tensor: 5, graph: 6, tensors: 10, graphs: 11, sparse: [22, 23] } as const;
const SPARSE = [1, 2] as const;
const TENSOR = { name: 8, external: 13 } as const;
const ENTRY = { key: 1, value: 2 } as const;

/** Subgraphs in subgraphs; real ones have two or three. */
const DEEPEST = 16;

/**
 * Reads the ONNX file at `path`.
 * @throws ContixError EMODEL when it is none
 */
export function readGraphFile(path: string): GraphFile {
  const fd = openSync(path, "r");
  try {
    const reader = new Reader(new ProtoFile(fd, basename(path)));
    reader.model({ start: 0, end: fstatSync(fd).size });
    return reader.result(basename(path));
  } finally {
    closeSync(fd);
  }
}

class Reader {
  readonly #file: ProtoFile;
  readonly #inputs: GraphValue[] = [];
  readonly #outputs: GraphValue[] = [];
  readonly #ops = new Set<string>();
  readonly #external = new Set<string>();
  readonly #initializers = new Set<string>();

  constructor(file: ProtoFile) {
    this.#file = file;
  }

  result(name: string): GraphFile {
    if (this.#ops.size === 0) {
      throw new ContixError("EMODEL", `${name} is no ONNX model: it has no graph`);
    }
    return {
      inputs: this.#inputs.filter((value) => !this.#initializers.has(value.name)),
      outputs: this.#outputs,
      ops: this.#ops,
      external: this.#external,
    };
  }

  model(range: Range): void {
    for (const field of this.#file.fields(range)) {
      if (field.number === MODEL.graph) this.#graph(field.range, 0);
      else if (field.number === MODEL.functions) this.#function(field.range);
    }
  }

  #graph(range: Range, depth: number): void {
    if (depth > DEEPEST) throw this.#file.damaged(range.start);
    for (const { number, range: part } of this.#file.fields(range)) {
      if (number === GRAPH.node) this.#node(part, depth);
      else if (number === GRAPH.initializer) this.#tensor(part, depth === 0);
      else if (number === GRAPH.sparse) this.#sparse(part);
      else if (depth > 0) continue;
      else if (number === GRAPH.input) this.#inputs.push(this.#value(part));
      else if (number === GRAPH.output) this.#outputs.push(this.#value(part));
    }
  }

  #function(range: Range): void {
    for (const { number, range: part } of this.#file.fields(range)) {
      if (number === FUNCTION_NODE) this.#node(part, 0);
    }
  }

  #node(range: Range, depth: number): void {
    for (const { number, range: part } of this.#file.fields(range)) {
      if (number === NODE.opType) this.#ops.add(this.#file.text(part));
      else if (number === NODE.attribute) this.#attribute(part, depth);
    }
  }

  #attribute(range: Range, depth: number): void {
    for (const { number, range: part } of this.#file.fields(range)) {
      if (number === ATTRIBUTE.graph || number === ATTRIBUTE.graphs) this.#graph(part, depth + 1);
      else if (number === ATTRIBUTE.tensor || number === ATTRIBUTE.tensors) this.#tensor(part);
      else if (ATTRIBUTE.sparse.some((sparse) => sparse === number)) this.#sparse(part);
    }
  }

  #sparse(range: Range): void {
    for (const { number, range: part } of this.#file.fields(range)) {
      if (SPARSE.some((tensor) => tensor === number)) this.#tensor(part);
    }
  }

  #tensor(range: Range, initializer = false): void {
    for (const { number, range: part } of this.#file.fields(range)) {
      if (number === TENSOR.external) this.#externalEntry(part);
      else if (number === TENSOR.name && initializer) this.#initializers.add(this.#file.text(part));
    }
  }

  #externalEntry(range: Range): void {
    let key = "";
    let value = "";
    for (const { number, range: part } of this.#file.fields(range)) {
      if (number === ENTRY.key) key = this.#file.text(part);
      else if (number === ENTRY.value) value = this.#file.text(part);
    }
    if (key === "location") this.#external.add(value);
  }

  #value(range: Range): GraphValue {
    let info: ValueInfoProto;
    try {
      info = ValueInfoProto.decode(this.#file.bytes(range));
    } catch {
      throw this.#file.damaged(range.start);
    }
    const tensor = info.type?.value?.$case === "tensorType" ? info.type.value.value : undefined;
    const dims = (tensor?.shape?.dim ?? []).map(({ value }) =>
      value?.$case === "dimValue" ? Number(value.value) : null,
    );
    return { name: info.name, type: tensor?.elemType ?? 0, dims };
  }
}
