/**
 * How fast the KV of a context moves, by the driver's own code, in this process, without a
 * kernel: from RAM frames into a slot and back, against copying as many bytes from one buffer to
 * another; from the swap file into a slot, against reading, checking and copying as many bytes;
 * and against the way in which llama.cpp saves and loads a sequence of as many tokens.
 *
 * Files are read from the page cache on both sides: what is measured is the work, not the disk.
 */
import { createCipheriv } from "node:crypto";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OnnxModel } from "../../servers/llm/engine/onnx-model.js";
import { PAGE_TOKENS } from "../../servers/llm/engine/pages.js";
import { SwapFile } from "../../servers/llm/engine/swap-file.js";
import type { KvFormat } from "../../servers/llm/models/compiled.js";
import { alternate, type Side } from "../harness/alternate.js";
import { type Figure, figure } from "../harness/report.js";
import { pairedRatio } from "../harness/stats.js";
import { LlamaEngine } from "./engine-sides.js";
import { exactly, ggufOf } from "./model.js";
import { say } from "./suite.js";

export interface MovesOptions {
  readonly model: string;
  /** Tokens that move: whole pages. */
  readonly tokens: number;
  readonly rounds: number;
  readonly threads: number;
}

/** Each turn does it so often, and counts the fastest: the first touches memory. */
const REPEATS = 5;

export async function pageMoves(
  prompt: readonly number[],
  options: MovesOptions,
): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), "contix-moves-"));
  try {
    await using llama = await LlamaEngine.start(await ggufOf(options.model), options.threads);
    await llama.open(1, 2 * options.tokens, {});
    await llama.prefill(prompt);
    const figures: Figure[] = [];
    for (const format of ["fp32", "int8"] as const) {
      figures.push(...(await formatMoves(folder, prompt, format, llama, options)));
    }
    return figures;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Both ways of moving the same tokens in one KV format, in turns with the peer. */
async function formatMoves(
  folder: string,
  prompt: readonly number[],
  format: KvFormat,
  llama: LlamaEngine,
  { model: name, tokens, rounds, threads }: MovesOptions,
): Promise<Figure[]> {
  const dir = await exactly(name, { kv: format });
  if (dir === undefined) throw new Error(`${name} can not be compiled with ${format} KV`);
  const count = tokens / PAGE_TOKENS;
  const model = await OnnxModel.open(dir, {
    slots: 2,
    slotTokens: 2 * tokens,
    threads,
    pageMemory: PAGE_MEMORY,
  });
  const bytes = count * model.pages.bytes;
  const swap = await SwapFile.open(join(folder, `${format}.swap`), 2 * bytes, model.pages);
  const plain = await PlainFile.make(join(folder, format), bytes);
  try {
    await model.prefill(0, 0, prompt.slice(0, tokens), false);
    model.pages.save(0, 0, tokens, 0);
    const moves = new Moves(model, swap, count);
    await moves.swapOut();
    const state = join(folder, "llama.state");
    const { bytes: peerBytes } = await llama.save(state);
    const sides: Side<number>[] = [
      side("memcpy", () => plain.copy()),
      side("pageIn", () => model.pages.load(0, 1, 0, tokens)),
      side("pageOut", () => model.pages.save(0, 0, tokens, 0)),
      side("readCheckCopy", () => plain.readCheckCopy(count)),
      side("swapIn", () => moves.swapIn()),
      side("swapOut", () => moves.swapOut()),
      { name: "llama.load", run: async () => (await llama.restore(state)).seconds * 1000 },
      { name: "llama.save", run: async () => (await llama.save(state)).seconds * 1000 },
    ];
    const runs = await alternate(rounds, sides);
    say(`${format}: moved ${tokens} tokens, ${(bytes / 2 ** 20).toFixed(1)} MiB`);
    return figuresOf(format, runs, bytes, peerBytes);
  } finally {
    await swap.close();
    await plain.close();
    await model.close();
  }
}

/** More than one round moves, untouched but for that. */
const PAGE_MEMORY = 256 * 2 ** 20;

/** Milliseconds of the fastest of a few repetitions. */
function side(name: string, move: () => void | Promise<void>): Side<number> {
  const run = async (): Promise<number> => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < REPEATS; i++) {
      const start = performance.now();
      await move();
      best = Math.min(best, performance.now() - start);
    }
    return best;
  };
  return { name, run };
}

function figuresOf(
  format: KvFormat,
  runs: ReadonlyMap<string, readonly number[]>,
  bytes: number,
  peerBytes: number,
): Figure[] {
  const ms = (name: string): readonly number[] => runs.get(name) ?? [];
  const rates = (name: string, size: number): number[] => ms(name).map((time) => size / time);
  const ratio = (id: string, unit: string, over: readonly number[], under: readonly number[]) =>
    figure(`${format}.${id}`, unit, pairedRatio(over, under));
  return [
    ratio("pageIn.ratio", "× memcpy", ms("pageIn"), ms("memcpy")),
    ratio("pageOut.ratio", "× memcpy", ms("pageOut"), ms("memcpy")),
    ratio("swapIn.ratio", "× read, check, copy", ms("swapIn"), ms("readCheckCopy")),
    ratio("load.rate", "× llama.cpp's B/s", rates("swapIn", bytes), rates("llama.load", peerBytes)),
    ratio(
      "save.rate",
      "× llama.cpp's B/s",
      rates("swapOut", bytes),
      rates("llama.save", peerBytes),
    ),
    ratio("load.time", "× llama.cpp's time", ms("swapIn"), ms("llama.load")),
    ratio("save.time", "× llama.cpp's time", ms("swapOut"), ms("llama.save")),
    ...[...runs].map(([name, times]) => figure(`${format}.${name}`, "ms", times)),
  ];
}

/** The pages of frames 0 .. count - 1 on their way through the swap file. */
export class Moves {
  readonly #model: OnnxModel;
  readonly #swap: SwapFile;
  readonly #pages: readonly number[];

  constructor(model: OnnxModel, swap: SwapFile, count: number) {
    this.#model = model;
    this.#swap = swap;
    this.#pages = Array.from({ length: count }, (_, page) => page);
  }

  async swapOut(): Promise<void> {
    const { pages } = this.#model;
    await this.#all((page) => this.#swap.write(page, nameOf(page), pages.frame(page)));
  }

  async swapIn(): Promise<void> {
    const { pages } = this.#model;
    await this.#all((page) =>
      this.#swap.read(page, nameOf(page), pages.inSlot(1, page * PAGE_TOKENS)),
    );
  }

  async #all(move: (page: number) => Promise<string>): Promise<void> {
    const errors = await Promise.all(this.#pages.map(move));
    const error = errors.find((text) => text !== "");
    if (error !== undefined) throw new Error(`a page did not move: ${error}`);
  }
}

function nameOf(page: number): Uint8Array {
  return new Uint8Array(32).fill(page + 1);
}

/** As many bytes without a model: what moving them takes at least. */
class PlainFile {
  readonly #file: FileHandle;
  readonly #from: Buffer;
  readonly #to: Buffer;

  private constructor(file: FileHandle, bytes: number) {
    this.#file = file;
    this.#from = Buffer.alloc(bytes, 1);
    this.#to = Buffer.alloc(bytes, 2);
  }

  static async make(path: string, bytes: number): Promise<PlainFile> {
    const file = await open(path, "w+");
    const plain = new PlainFile(file, bytes);
    await file.write(plain.#from, 0, bytes, 0);
    return plain;
  }

  copy(): void {
    this.#from.copy(this.#to);
  }

  /** Page by page, as the swap file does it. */
  async readCheckCopy(count: number): Promise<void> {
    const length = this.#from.length / count;
    for (let page = 0; page < count; page++) {
      const part = this.#from.subarray(page * length, (page + 1) * length);
      await this.#file.read(part, 0, length, page * length);
      checksum(part);
      part.copy(this.#to, page * length);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** The swap file's, which is the fastest that Node has: AES-GMAC. */
function checksum(bytes: Buffer): Buffer {
  const mac = createCipheriv("aes-128-gcm", Buffer.alloc(16), Buffer.alloc(12));
  mac.setAAD(bytes);
  mac.final();
  return mac.getAuthTag();
}
