/**
 * The same weights in other types of GGUF, for llama.cpp to show its best with: made by PyPI
 * `gguf` in a virtual environment of our own, once.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cachedFile, inCache, sha256 } from "./cache.js";
import { command } from "./command.js";
import { inCheckout } from "./root.js";

/** Types that llama.cpp runs fast and that PyPI `gguf` can write. */
export const FORMATS = ["Q8_0", "Q4_0"] as const;
export type Format = (typeof FORMATS)[number];

/**
 * The GGUF file `source` with its matrices in `format`.
 * @returns the path of a file in the cache
 * @throws Error when there is no python3 with venv, or no package registry on first use
 */
export async function requantized(source: string, format: Format): Promise<string> {
  const script = inCheckout("bench", "peers", "requantize.py");
  const name = `${await sha256(source)}.${format}.gguf`;
  return cachedFile(inCache("gguf", name), async (target) => {
    process.stderr.write(`writing the weights again as ${format}, for the peer\n`);
    await command(await python(), [script, source, target, format]);
  });
}

/** The interpreter of the virtual environment with bench/peers/requirements.txt. */
async function python(): Promise<string> {
  const requirements = inCheckout("bench", "peers", "requirements.txt");
  const pins = createHash("sha256")
    .update(await readFile(requirements))
    .digest("hex");
  const home = inCache("python", pins.slice(0, 12));
  const interpreter = join("bin", "python3");
  if (existsSync(join(home, "ready"))) return join(home, interpreter);
  await rm(home, { recursive: true, force: true });
  await command("python3", ["-m", "venv", home]);
  const pip = ["-m", "pip", "install", "--quiet", "--only-binary=:all:", "-r", requirements];
  await command(join(home, interpreter), pip);
  await writeFile(join(home, "ready"), "");
  return join(home, interpreter);
}
