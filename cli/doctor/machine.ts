/** What the machine itself must offer: Node, processors, memory, disk. */
import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { availableParallelism, freemem, totalmem } from "node:os";
import { dirname } from "node:path";
import { bytes } from "../format.js";
import { type Check, fail, ok, warn } from "./check.js";

const GIB = 1024 ** 3;

/** The oldest Node that contix runs on, as package.json's `engines` has it. */
const OLDEST_NODE = [20, 20] as const;

export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  const enough = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
  return enough
    ? ok("node", version)
    : fail("node", version, `install Node ${OLDEST_NODE.join(".")} or newer`);
}

/** Instruction sets that decide how fast 8-bit products are, the best first. */
const FAST_SETS: Readonly<Record<string, readonly string[]>> = {
  x64: ["amx_int8", "avx512_vnni", "avx_vnni", "avx512bw", "avx2"],
  arm64: ["i8mm", "asimddp"],
};

/** @param flags the processor's flags, or undefined where the system does not list them. */
export function checkCpu(arch: string, flags: ReadonlySet<string> | undefined): Check {
  const cores = availableParallelism();
  const with_ = (what: string): string =>
    `${cores} ${arch} ${cores === 1 ? "core" : "cores"}${what}`;
  const known = FAST_SETS[arch];
  if (known === undefined)
    return warn("cpu", with_(""), "untested architecture: x64 and arm64 are the tested ones");
  if (flags === undefined) return ok("cpu", with_(""));
  const found = known.filter((set) => flags.has(set));
  return found.length > 0
    ? ok("cpu", with_(`, ${found.join(" ")}`))
    : warn("cpu", with_(""), `none of ${known.join(", ")}: the model will be slow`);
}

/** The flags of the first processor. */
export function cpuFlags(): ReadonlySet<string> | undefined {
  try {
    const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1];
    return line === undefined ? undefined : new Set(line.trim().split(/\s+/));
  } catch {
    return undefined;
  }
}

/** Memory that is free or can be freed, within the limit of the container. */
export function availableMemory(): number {
  const limit = process.constrainedMemory();
  const free = memAvailable() ?? freemem();
  return limit > 0 && limit < totalmem() ? Math.min(limit, free) : free;
}

function memAvailable(): number | undefined {
  try {
    const kib = /^MemAvailable:\s*(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}

export function checkMemory(available: number): Check {
  const found = `${bytes(available)} available`;
  if (available < 0.75 * GIB)
    return fail("memory", found, "1.5 GiB are needed for the model, its slots and a few agents");
  if (available < 1.5 * GIB) return warn("memory", found, "use fewer slots: contix up --slots 4");
  return ok("memory", found);
}

/** The disk that holds `path`, or that would once its directories are made. */
export async function checkDisk(name: string, path: string): Promise<Check> {
  const found = await freeDisk(path);
  const line = `${bytes(found)} free for ${path}`;
  if (found < 0.3 * GIB) return fail(name, line, "free some space, or move it to another disk");
  if (found < GIB) return warn(name, line, "pulling and compiling a model needs about 1 GiB");
  return ok(name, line);
}

async function freeDisk(path: string): Promise<number> {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch (error) {
      if (dirname(at) === at) throw error;
    }
  }
}
