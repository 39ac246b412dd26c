/**
 * The ONNX Runtime library inside npm `onnxruntime-node`, called through its C API.
 *
 * `OrtGetApiBase()->GetApi(version)` gives a table of function pointers that is only ever
 * appended to, so a function is its slot in the table. The slots below were read off
 * onnxruntime_c_api.h; a library of any other version than the pinned one is refused.
 */

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { LibraryHandle, TypeObject } from "koffi";
import { ContixError } from "../../../proto/errno.js";
import { koffi } from "../native.js";

/** The version of the library that this binding was made for; part of the engine digest. */
export const ORT_VERSION = "1.30.0";

/** The revision of the table whose slots are used here; the library still serves it. */
const API_REVISION = 24;

/** A native address. */
export type Address = bigint;

/** What native functions take: numbers, strings, addresses, and buffers by their address. */
export type NativeArgument = number | string | Address | ArrayBufferView | null;

export interface NativeFunction {
  (...args: NativeArgument[]): unknown;
  async(...args: [...NativeArgument[], (error: unknown, result: unknown) => void]): void;
}

const PATH = process.platform === "win32" ? "str16" : "str";

/** Slot and parameters of the functions that return an OrtStatus, null when all went well. */
const CALLS = {
  createEnv: [3, "int", "str", "void *"],
  createSession: [7, "void *", PATH, "void *", "void *"],
  run: [9, "void *", "void *", "void *", "void *", "size_t", "void *", "size_t", "void *"],
  createSessionOptions: [10, "void *"],
  setSessionLogSeverityLevel: [22, "void *", "int"],
  setSessionGraphOptimizationLevel: [23, "void *", "int"],
  setIntraOpNumThreads: [24, "void *", "int"],
  createTensorWithData: [49, "void *", "void *", "size_t", "void *", "size_t", "int", "void *"],
  createCpuMemoryInfo: [69, "int", "int", "void *"],
  addSessionConfigEntry: [130, "void *", "str", "str"],
} as const;

/** Slots of the functions that free an object and can not fail. */
const RELEASES = {
  releaseEnv: 92,
  releaseStatus: 93,
  releaseMemoryInfo: 94,
  releaseSession: 95,
  releaseValue: 96,
  releaseSessionOptions: 100,
} as const;

export type OrtCall = keyof typeof CALLS;
export type OrtRelease = keyof typeof RELEASES;

export interface OrtFunctions {
  readonly calls: Readonly<Record<OrtCall, NativeFunction>>;
  readonly releases: Readonly<Record<OrtRelease, NativeFunction>>;
  /** The message of an OrtStatus. */
  message(status: Address): string;
  /** Held, because koffi unmaps the library when this is collected. */
  readonly library: LibraryHandle;
}

let loaded: OrtFunctions | undefined;

/**
 * Loads the library, once a process.
 * @throws ContixError EMODEL when there is none for this platform, or another version
 */
export function loadOrt(): OrtFunctions {
  loaded ??= load(libraryPath());
  return loaded;
}

/**
 * The tiled attention of this version breaks law 2: it cuts a chunk into tiles of rows, and
 * the last row of a chunk of k tiles and one token, alone in its tile, gets other bits than
 * the same row in another chunk. Its tiles depend on the size of the L2 cache, and beyond
 * as many threads as heads, its decode on who else runs. The plain path does none of this,
 * at the same speed. Read when a session is made.
 */
const PLAIN_ATTENTION = { name: "ORT_GQA_DISABLE_FLASH_ATTENTION", value: "1" } as const;

function load(path: string): OrtFunctions {
  process.env[PLAIN_ATTENTION.name] = PLAIN_ATTENTION.value;
  const base = koffi.struct({ getApi: "void *", getVersionString: "void *" });
  const library = koffi.load(path);
  const getBase = library.func("OrtGetApiBase", koffi.pointer(base), []);
  const { getApi, getVersionString } = koffi.decode(getBase(), base);
  const version: string = koffi.call(getVersionString, koffi.proto("str", []));
  if (version !== ORT_VERSION) {
    throw new ContixError(
      "EMODEL",
      `${path} is ONNX Runtime ${version}; it must be ${ORT_VERSION}`,
    );
  }
  const table: Address = koffi.call(getApi, koffi.proto("void *", ["uint32_t"]), API_REVISION);
  return { ...functions(table), library };
}

function functions(table: Address): Omit<OrtFunctions, "library"> {
  const at = (slot: number, type: TypeObject): NativeFunction =>
    koffi.decode(koffi.decode(table, slot * koffi.sizeof("void *"), "void *"), type);
  const calls = Object.entries(CALLS).map(([name, [slot, ...parameters]]) => [
    name,
    at(slot, koffi.proto("void *", parameters)),
  ]);
  const release = koffi.proto("void", ["void *"]);
  const releases = Object.entries(RELEASES).map(([name, slot]) => [name, at(slot, release)]);
  const message = at(2, koffi.proto("str", ["void *"]));
  return {
    calls: Object.fromEntries(calls),
    releases: Object.fromEntries(releases),
    message: (status) => String(message(status)),
  };
}

const LIBRARIES: Readonly<Record<string, string>> = {
  "linux-x64": "libonnxruntime.so.1",
  "linux-arm64": "libonnxruntime.so.1",
  "darwin-arm64": `libonnxruntime.${ORT_VERSION}.dylib`,
  "win32-x64": "onnxruntime.dll",
  "win32-arm64": "onnxruntime.dll",
};

function libraryPath(): string {
  const { platform, arch } = process;
  const library = LIBRARIES[`${platform}-${arch}`];
  if (library === undefined) {
    throw new ContixError(
      "EMODEL",
      `no ONNX Runtime for ${platform}-${arch}; there is one for ${Object.keys(LIBRARIES).join(", ")}`,
    );
  }
  const manifest = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
  return join(dirname(manifest), "bin", "napi-v6", platform, arch, library);
}
