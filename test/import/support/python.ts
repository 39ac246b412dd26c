/**
 * A Python with the packages that the import tests are held against, in a virtual
 * environment of its own below node_modules/.cache. It is made at first use, whole
 * or not at all: built aside and renamed, so that several tests may ask at once.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Pinned; numpy by what the Python at hand has binaries for. */
const REQUIREMENTS = [
  "gguf==0.19.0",
  'numpy==2.2.6; python_version < "3.11"',
  'numpy==2.4.6; python_version >= "3.11"',
  "pyyaml==6.0.3",
  "sentencepiece==0.2.3",
  "tokenizers==0.23.3",
  "tqdm==4.70.1",
];

const CACHE = fileURLToPath(new URL("../../../node_modules/.cache/contix/", import.meta.url));

export class Python {
  readonly #executable: string;

  constructor(executable: string) {
    this.#executable = executable;
  }

  /** Runs a script; gives what it wrote to its standard output. */
  async run(script: string, args: readonly string[] = [], input?: Uint8Array): Promise<Buffer> {
    return output(this.#executable, ["-c", script, ...args], input);
  }
}

/**
 * That Python. Where there is none, or no registry to fill it from, the reason is
 * printed and the result undefined, so that tests can be skipped; not in CI.
 */
export async function findPython(): Promise<Python | undefined> {
  try {
    return new Python(await environment(process.env.CONTIX_PYTHON ?? "python3"));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (process.env.CI) throw error;
    console.warn(`skipped: no Python with ${REQUIREMENTS[0]}: ${reason}`);
    return undefined;
  }
}

/** The executable of the environment. */
async function environment(base: string): Promise<string> {
  const version = (await output(base, ["--version"])).toString().trim();
  const key = createHash("sha256").update([base, version, ...REQUIREMENTS].join("\n"));
  const target = join(CACHE, `python-${key.digest("hex").slice(0, 12)}`);
  const executable = join("bin", "python");
  if (!existsSync(join(target, executable))) await make(base, target, executable);
  return join(target, executable);
}

async function make(base: string, target: string, executable: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const staging = await mkdtemp(`${target}.`);
  try {
    await output(base, ["-m", "venv", staging]);
    const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"];
    const wheels = ["--only-binary=:all:", ...REQUIREMENTS];
    await output(join(staging, executable), [...install, ...wheels]);
    await rename(staging, target).catch((error) => {
      // Another test was first.
      if (!existsSync(join(target, executable))) throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function output(
  command: string,
  args: readonly string[],
  input: Uint8Array = new Uint8Array(),
): Promise<Buffer> {
  const child = spawn(command, args);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (bytes) => out.push(bytes));
  child.stderr.on("data", (bytes) => err.push(bytes));
  // A program that ends without reading all says why by its exit code.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code === 0) return Buffer.concat(out);
  const reason = Buffer.concat(err).toString().trim().split("\n").slice(-5).join("\n");
  throw new Error(`${command} ${args.slice(0, 2).join(" ")} ended with ${code}: ${reason}`);
}
