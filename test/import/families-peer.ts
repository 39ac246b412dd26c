/** Starts llama.cpp as a peer (families-peer.mjs) and asks it for logits. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PACKAGE = new URL(
  "../../bench/peers/node_modules/node-llama-cpp/dist/index.js",
  import.meta.url,
);
const SCRIPT = fileURLToPath(new URL("families-peer.mjs", import.meta.url));

export interface PeerAnswer {
  /** Greedy tokens after the prompt. */
  readonly tokens: readonly number[];
  /** After each token of the prompt and each greedy token but the last. */
  readonly logits: readonly Float32Array[];
}

/** Why there is no peer on this machine, or undefined. */
export function missingPeer(): string | undefined {
  return existsSync(PACKAGE) ? undefined : "node-llama-cpp is not installed in bench/peers";
}

/** One llama.cpp process, asked one thing at a time. */
export class Peer implements Disposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #errors = "";

  constructor() {
    this.#child = spawn(process.execPath, [SCRIPT, PACKAGE.href], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    const { stdout, stderr } = this.#child;
    if (!stdout || !stderr) throw new Error("the peer has no output");
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    stderr.on("data", (chunk) => {
      this.#errors = `${this.#errors}${chunk}`.slice(-4000);
    });
  }

  async ask(gguf: string, prompt: readonly number[], greedy: number): Promise<PeerAnswer> {
    this.#child.stdin?.write(`${JSON.stringify({ gguf, prompt, greedy })}\n`);
    const line = await this.#lines.next();
    if (line.done) throw new Error(`the peer died: ${this.#errors}`);
    const answer = JSON.parse(line.value);
    if (answer.error) throw new Error(`${answer.error}: ${this.#errors}`);
    const logits = answer.logits.map((row: string) => {
      const bytes = Uint8Array.from(Buffer.from(row, "base64"));
      return new Float32Array(bytes.buffer);
    });
    return { tokens: answer.tokens, logits };
  }

  [Symbol.dispose](): void {
    this.#child.stdin?.end();
  }
}
