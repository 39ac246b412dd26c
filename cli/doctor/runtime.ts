/** Whether the native parts load: koffi, and ONNX Runtime through it. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type Check, fail, ok, warn } from "./check.js";

const require = createRequire(import.meta.url);

export async function checkNative(): Promise<Check[]> {
  try {
    const { default: koffi } = await import("koffi");
    return [ok("koffi", `${koffi.version} loads`), await checkOnnxRuntime(koffi)];
  } catch (error) {
    const fix = "reinstall with `npm ci` on this platform";
    return [fail("koffi", `does not load: ${(error as Error).message}`, fix)];
  }
}

type Koffi = typeof import("koffi")["default"];

async function checkOnnxRuntime(koffi: Koffi): Promise<Check> {
  const name = "onnxruntime";
  const library = runtimeLibrary();
  if (library === undefined)
    return fail(
      name,
      `no library for ${process.platform} ${process.arch}`,
      "use a supported platform, or `--driver fake` to try things without a model",
    );
  try {
    const version = runtimeVersion(koffi, library);
    const wanted = (require("onnxruntime-node/package.json") as { version: string }).version;
    return version === wanted
      ? ok(name, `${version}, ${library}`)
      : warn(name, `${version} in a package of ${wanted}`, "reinstall with `npm ci`");
  } catch (error) {
    return fail(
      name,
      `${library} does not load: ${(error as Error).message}`,
      "run `npm ci` again",
    );
  }
}

/** ONNX Runtime's own answer, from the table that `OrtGetApiBase` returns: { GetApi, GetVersionString }. */
function runtimeVersion(koffi: Koffi, path: string): string {
  const library = koffi.load(path);
  const base: unknown = library.func("OrtGetApiBase", "void *", [])();
  const entries = koffi.decode(base, koffi.array("void *", 2)) as [unknown, unknown];
  return koffi.call(entries[1], koffi.proto("const char *OrtVersion()")) as string;
}

/** The ONNX Runtime library inside `onnxruntime-node` for this platform. */
export function runtimeLibrary(): string | undefined {
  const names: Partial<Record<NodeJS.Platform, string>> = {
    linux: "libonnxruntime.so.1",
    darwin: "libonnxruntime.1.dylib",
    win32: "onnxruntime.dll",
  };
  const file = names[process.platform];
  if (file === undefined) return undefined;
  const root = dirname(require.resolve("onnxruntime-node/package.json"));
  const path = join(root, "bin", "napi-v6", process.platform, process.arch, file);
  return existsSync(path) ? path : undefined;
}
