/**
 * ONNX Runtime's objects: tensors over our own memory, and sessions that run on them.
 *
 * Nothing here copies: a tensor is a view of a buffer that is allocated once, and a run
 * writes into the tensors it is given. Native objects are freed by `close`, by hand and in
 * order; whatever native code points to is referenced from the object that points.
 */

import koffi from "koffi";
import { ContixError } from "../../../proto/errno.js";
import {
  type Address,
  loadOrt,
  type NativeArgument,
  type OrtCall,
  type OrtRelease,
} from "./ort-library.js";

export type Data = Float32Array | Int32Array | BigInt64Array | Uint16Array | Uint8Array | Int8Array;

/** ONNXTensorElementDataType. */
const FLOAT = 1;
const UINT8 = 2;
const INT8 = 3;
const INT32 = 6;
const INT64 = 7;
export const BOOL = 9;
const FLOAT16 = 10;

/** ORT_LOGGING_LEVEL_FATAL: what fails is said by its status. */
const QUIET = 4;
const DEVICE_ALLOCATOR = 0;
const DEFAULT_MEMORY = 0;

/** Vectors load fastest from addresses that are a multiple of this, bytes. */
const ALIGNMENT = 64;

/** ORT_ENABLE_ALL. */
const ALL_OPTIMIZATIONS = 99;

/** @throws ContixError EIO with the runtime's message. */
function check(call: OrtCall, status: unknown): void {
  if (typeof status !== "bigint" || status === 0n) return;
  const { message, releases } = loadOrt();
  const text = message(status);
  releases.releaseStatus(status);
  throw new ContixError("EIO", `ONNX Runtime, ${call}: ${text}`);
}

function call(name: OrtCall, ...args: NativeArgument[]): void {
  check(name, loadOrt().calls[name](...args));
}

/** Runs on a thread of the pool. The caller keeps what `args` point to alive. */
function callAsync(name: OrtCall, ...args: NativeArgument[]): Promise<void> {
  return new Promise((resolve, reject) => {
    loadOrt().calls[name].async(...args, (error, status) => {
      try {
        if (error) throw error;
        check(name, status);
        resolve();
      } catch (failure) {
        reject(failure);
      }
    });
  });
}

/** Calls a function whose last parameter takes the address of what it made. */
function make(name: OrtCall, ...args: NativeArgument[]): Address {
  const out = pointers(1);
  call(name, ...args, out);
  return out[0] ?? 0n;
}

/** An array of addresses that native code may read: never on the garbage-collected heap. */
function pointers(length: number): BigUint64Array {
  return new BigUint64Array(new ArrayBuffer(length * 8));
}

export interface Typed<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
}

/**
 * Zeros at an aligned address that never moves (V8 may move small typed arrays that have
 * no buffer of their own). Pages of it that were never written take no memory.
 */
export function aligned<T>(type: Typed<T>, length: number): T {
  return alignedIn(new ArrayBuffer(length * type.BYTES_PER_ELEMENT + ALIGNMENT), type, length);
}

/** Memory for other threads to write to, too. */
export interface Shared<T> {
  readonly memory: SharedArrayBuffer;
  /** Over an ArrayBuffer of the same bytes, as long as whoever has it holds `memory`. */
  readonly data: T;
}

/**
 * As `aligned`, in memory that is shared. V8 copies within that word by word, which takes
 * half as long again, so this thread has another view of it.
 */
export function alignedShared<T>(type: Typed<T>, length: number): Shared<T> {
  const memory = new SharedArrayBuffer(length * type.BYTES_PER_ELEMENT + ALIGNMENT);
  const view = koffi.view(koffi.address(new Uint8Array(memory)), memory.byteLength);
  return { memory, data: alignedIn(view, type, length) };
}

function alignedIn<T>(buffer: ArrayBuffer, type: Typed<T>, length: number): T {
  const past = Number(koffi.address(buffer) % BigInt(ALIGNMENT));
  return new type(buffer, past === 0 ? 0 : ALIGNMENT - past, length);
}

/** A native object that is freed once. */
class Native {
  readonly #release: OrtRelease;
  #address: Address;

  constructor(release: OrtRelease, address: Address) {
    this.#release = release;
    this.#address = address;
  }

  get address(): Address {
    if (this.#address === 0n) throw new ContixError("EIO", `used after ${this.#release}`);
    return this.#address;
  }

  close(): void {
    if (this.#address === 0n) return;
    loadOrt().releases[this.#release](this.#address);
    this.#address = 0n;
  }
}

/** What every session and tensor of the process shares. */
const common: { environment?: Native; memory?: Native } = {};

function environment(): Native {
  common.environment ??= new Native("releaseEnv", make("createEnv", QUIET, "contix"));
  return common.environment;
}

function cpuMemory(): Native {
  common.memory ??= new Native(
    "releaseMemoryInfo",
    make("createCpuMemoryInfo", DEVICE_ALLOCATOR, DEFAULT_MEMORY),
  );
  return common.memory;
}

/**
 * A tensor of `shape` over `data`: from `aligned`, with at least as many elements. 16-bit
 * elements are half floats; `type` is needed where the kind of the array does not say it.
 */
export class Tensor extends Native {
  readonly data: Data;

  constructor(data: Data, shape: readonly number[], type = elementType(data)) {
    const length = shape.reduce((product, dim) => product * dim, 1);
    if (length > data.length) {
      throw new RangeError(`a tensor of ${shape.join("×")} over ${data.length} elements`);
    }
    // A small typed array without a buffer of its own would lie where V8 may move it.
    const dims = new BigInt64Array(new ArrayBuffer(shape.length * 8));
    dims.set(shape.map(BigInt));
    const bytes = length * data.BYTES_PER_ELEMENT;
    const address = make(
      "createTensorWithData",
      cpuMemory().address,
      koffi.address(data),
      bytes,
      dims,
      shape.length,
      type,
    );
    super("releaseValue", address);
    this.data = data;
  }
}

function elementType(data: Data): number {
  if (data instanceof Float32Array) return FLOAT;
  if (data instanceof Int32Array) return INT32;
  if (data instanceof Int8Array) return INT8;
  if (data instanceof Uint16Array) return FLOAT16;
  return data instanceof Uint8Array ? UINT8 : INT64;
}

export interface SessionOptions {
  /** Names of the graph's inputs and outputs, in the order in which `run` gets tensors. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Threads of a run, ours among them. */
  readonly threads: number;
  /** The runtime's configuration entries (onnxruntime_session_options_config_keys.h). */
  readonly config?: Readonly<Record<string, string>>;
}

/** A loaded graph. Runs must not overlap. */
export class Session extends Native {
  readonly #inputNames: StringArray;
  readonly #outputNames: StringArray;
  readonly #inputs: BigUint64Array;
  readonly #outputs: BigUint64Array;

  private constructor(address: Address, { inputs, outputs }: SessionOptions) {
    super("releaseSession", address);
    this.#inputNames = new StringArray(inputs);
    this.#outputNames = new StringArray(outputs);
    this.#inputs = pointers(inputs.length);
    this.#outputs = pointers(outputs.length);
  }

  /** Loads the graph at `path` (weights in files beside it are mapped, not read). */
  static async open(path: string, options: SessionOptions): Promise<Session> {
    const native = new Native("releaseSessionOptions", make("createSessionOptions"));
    try {
      call("setSessionLogSeverityLevel", native.address, QUIET);
      call("setSessionGraphOptimizationLevel", native.address, ALL_OPTIMIZATIONS);
      call("setIntraOpNumThreads", native.address, options.threads);
      for (const [key, value] of Object.entries(options.config ?? {})) {
        call("addSessionConfigEntry", native.address, key, value);
      }
      const out = pointers(1);
      await callAsync("createSession", environment().address, path, native.address, out);
      return new Session(out[0] ?? 0n, options);
    } finally {
      native.close();
    }
  }

  /** Runs the graph once: reads `inputs`, writes into `outputs`. */
  async run(inputs: readonly Tensor[], outputs: readonly Tensor[]): Promise<void> {
    fill(this.#inputs, inputs);
    fill(this.#outputs, outputs);
    await callAsync(
      "run",
      this.address,
      null,
      this.#inputNames.pointers,
      this.#inputs,
      inputs.length,
      this.#outputNames.pointers,
      outputs.length,
      this.#outputs,
    );
  }
}

function fill(target: BigUint64Array, tensors: readonly Tensor[]): void {
  if (tensors.length !== target.length) {
    throw new RangeError(`${tensors.length} tensors for ${target.length} names`);
  }
  for (let i = 0; i < target.length; i++) target[i] = tensors[i]?.address ?? 0n;
}

/** An array of C strings. */
class StringArray {
  readonly pointers: BigUint64Array;
  /** What the pointers point to. */
  readonly bytes: Uint8Array;

  constructor(strings: readonly string[]) {
    const encoded = strings.map((string) => Buffer.from(`${string}\0`, "utf8"));
    this.bytes = new Uint8Array(
      new ArrayBuffer(encoded.reduce((sum, { length }) => sum + length, 0)),
    );
    this.pointers = pointers(strings.length);
    let at = 0;
    encoded.forEach((string, i) => {
      this.bytes.set(string, at);
      this.pointers[i] = koffi.address(this.bytes) + BigInt(at);
      at += string.length;
    });
  }
}
