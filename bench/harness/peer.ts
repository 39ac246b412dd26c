/**
 * A peer: another engine in a process of its own, spoken to in lines of JSON (see
 * bench/peers/serve.mjs). Peers have a package and a lock file of their own
 * and are installed on first use.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { command } from "./command.js";
import { inCheckout } from "./root.js";
import { withTimeout } from "./wait.js";

const Reply = z.object({
  id: z.number(),
  result: z.unknown().optional(),
  error: z.string().optional(),
});

/** The engines that we are held against. */
const PEERS = ["node-llama-cpp", "@huggingface/transformers"] as const;
export type PeerVersions = Readonly<Record<(typeof PEERS)[number], string>>;

/**
 * Installs the peers when they are not there in the locked versions: packages only, no install
 * scripts, so nothing is built or downloaded beside them.
 */
export async function installPeers(): Promise<PeerVersions> {
  const wanted = await versions("package-lock.json");
  if (wanted === undefined) throw new Error("bench/peers/package-lock.json names no peers");
  // npm writes this file last, so a broken install has none.
  const there = await versions(join("node_modules", ".package-lock.json"));
  if (there !== undefined && PEERS.every((name) => there[name] === wanted[name])) return wanted;
  process.stderr.write("installing the peers in bench/peers\n");
  const folder = inCheckout("bench", "peers");
  await command("npm", ["ci", "--ignore-scripts", "--omit=optional"], folder);
  return wanted;
}

/** The peers' versions in a lock file; undefined when it is not there or has not all of them. */
async function versions(lockFile: string): Promise<PeerVersions | undefined> {
  const text = await readFile(inCheckout("bench", "peers", lockFile), "utf8").catch(() => "null");
  const Version = z.object({ version: z.string() }).transform(({ version }) => version);
  const [llama, hub] = PEERS;
  const Lock = z.object({
    packages: z.object({ [`node_modules/${llama}`]: Version, [`node_modules/${hub}`]: Version }),
  });
  const lock = Lock.safeParse(JSON.parse(text));
  if (!lock.success) return undefined;
  const { packages } = lock.data;
  return {
    [llama]: String(packages[`node_modules/${llama}`]),
    [hub]: String(packages[`node_modules/${hub}`]),
  };
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
