/**
 * A peer: another engine in a process of its own, spoken to in lines of JSON (see
 * bench/peers/llama.mjs for the commands). Peers have a package and a lock file of their own
 * and are installed on first use.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { z } from "zod";
import { inCheckout } from "./root.js";
import { withTimeout } from "./wait.js";

const Reply = z.object({
  id: z.number(),
  result: z.unknown().optional(),
  error: z.string().optional(),
});

/**
 * Installs the peers when they are not there in the locked version: packages only, no install
 * scripts, so nothing is built or downloaded beside them.
 * @returns the version of node-llama-cpp
 */
export async function installPeers(): Promise<string> {
  const wanted = await lockedVersion();
  if ((await installedVersion()) === wanted) return wanted;
  process.stderr.write(`installing the peers (node-llama-cpp ${wanted}) in bench/peers\n`);
  const args = ["ci", "--ignore-scripts", "--omit=optional"];
  const child = spawn("npm", args, {
    cwd: inCheckout("bench", "peers"),
    stdio: ["ignore", process.stderr, process.stderr],
  });
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  if (code !== 0) throw new Error(`npm ${args.join(" ")} in bench/peers ended with ${code}`);
  return wanted;
}

async function lockedVersion(): Promise<string> {
  const Lock = z.object({
    packages: z.object({ "node_modules/node-llama-cpp": z.object({ version: z.string() }) }),
  });
  const text = await readFile(inCheckout("bench", "peers", "package-lock.json"), "utf8");
  return Lock.parse(JSON.parse(text)).packages["node_modules/node-llama-cpp"].version;
}

/** The version that is there; npm writes the file last, so a broken install has none. */
async function installedVersion(): Promise<string | undefined> {
  const path = inCheckout("bench", "peers", "node_modules", ".package-lock.json");
  const Installed = z.object({ version: z.string().optional() });
  const Lock = z.object({ packages: z.record(z.string(), Installed) });
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const lock = Lock.safeParse(JSON.parse(text));
  return lock.success ? lock.data.packages["node_modules/node-llama-cpp"]?.version : undefined;
}

/** A peer's process. */
export class Peer implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(x: unknown): void; reject(e: Error): void }>();
  readonly #ended: Promise<void>;
  #id = 0;
  #closed: Error | undefined;

  /** @param script path of the peer's program */
  constructor(script: string) {
    this.#child = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", process.stderr] });
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", (code) => {
        this.#fail(new Error(`the peer ended with ${code}`));
        resolve();
      });
    });
    this.#child.stdin?.on("error", (error) => this.#fail(error));
    if (this.#child.stdout) {
      createInterface({ input: this.#child.stdout }).on("line", (line) => this.#receive(line));
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * One command.
   * @param result what its answer must look like
   * @throws Error with the peer's reason
   */
  async call<T>(cmd: string, args: object, result: z.ZodType<T>): Promise<T> {
    const answer = await new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closed);
      const id = ++this.#id;
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify({ id, cmd, ...args })}\n`);
    });
    return result.parse(answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.call("close", {}, z.unknown());
    await withTimeout(closing, 10_000, "the peer's end").catch(() => this.#child.kill("SIGKILL"));
    await this.#ended;
  }

  #receive(line: string): void {
    const { id, result, error } = Reply.parse(JSON.parse(line));
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(`the peer: ${error}`));
  }

  #fail(error: Error): void {
    this.#closed ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
