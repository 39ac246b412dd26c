/**
 * The process side of an LLM driver: speaks the driver protocol (llm.proto) with the
 * kernel over file descriptor 3, runs plans on an executor and text requests beside it,
 * and ends when the kernel asks for it or goes away.
 */

import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { ContixError } from "../../proto/errno.js";
import { type FrameChannel, frames } from "../../proto/frame.js";
import {
  FromDriver,
  type Open,
  type Ready,
  type TextReply,
  type TextRequest,
  ToDriver,
} from "../../proto/gen/contix/driver/v1/llm.js";
import { Executor } from "./engine/executor.js";
import type { Model } from "./engine/model.js";
import type { Swap } from "./engine/swap.js";
import { SwapFile } from "./engine/swap-file.js";
import { answerText } from "./text/requests.js";
import type { TextServer } from "./text/server.js";

/** What makes one driver differ from another. */
export interface Engine {
  readonly model: Model;
  readonly text: TextServer;
}

export interface DriverOptions {
  /** Loads what the kernel asks for. A rejection becomes the Fault that the kernel reads. */
  open(open: Open): Promise<Engine>;
  /** The connection to the kernel; default: file descriptor 3. */
  readonly stream?: Duplex;
  /** Ends the process; default: process.exit. */
  readonly exit?: (code: number) => void;
}

/** The kernel's end of the socket pair, as it starts its drivers. */
const KERNEL_FD = 3;

/** Serves one kernel until it shuts us down or its connection closes; then exits. */
export function runDriver(options: DriverOptions): void {
  // Ctrl-C in a terminal reaches the whole process group. The kernel drains then, and
  // needs us for it; we end with its connection.
  process.on("SIGINT", () => {});
  const driver = new Driver(options, options.stream ?? new Socket({ fd: KERNEL_FD }));
  // A process of its own says to its kernel, too, what nothing has caught.
  if (options.stream === undefined) process.on("uncaughtException", (e) => driver.broke(e));
}

/** An engine, and the swap file beside it. */
interface Opened extends Engine {
  readonly swap: Swap | undefined;
}

class Driver {
  readonly #options: DriverOptions;
  readonly #stream: Duplex;
  readonly #kernel: FrameChannel<FromDriver>;
  #opening: Promise<Opened> | undefined;
  #text: TextServer | undefined;
  #executor: Executor | undefined;
  #running: Promise<void> = Promise.resolve();
  #ending = false;

  constructor(options: DriverOptions, stream: Duplex) {
    this.#options = options;
    this.#stream = stream;
    this.#kernel = frames(
      stream,
      ToDriver,
      FromDriver,
      (message) => this.#receive(message),
      (error) => {
        // A system call that failed: the kernel is gone. Anything else: it speaks nonsense.
        const gone = error === undefined || "syscall" in error;
        if (!gone) console.error("driver: connection to the kernel:", error);
        void this.#end(gone ? 0 : 1);
      },
    );
  }

  #receive({ msg }: ToDriver): void {
    if (this.#ending) return;
    if (msg?.$case === "open" && this.#opening === undefined) this.#open(msg.value);
    else if (msg?.$case === "shutdown") void this.#end(0);
    else if (msg?.$case === "plan" && this.#executor) this.#executor.submit(msg.value);
    else if (msg?.$case === "text" && this.#text) void this.#answer(this.#text, msg.value);
    else this.#fault(new ContixError("EPROTO", `message "${msg?.$case ?? ""}" out of turn`));
  }

  #open(open: Open): void {
    this.#opening = this.#options.open(open).then(async (engine) => {
      return { ...engine, swap: await openSwap(open, engine.model) };
    });
    this.#opening.then(
      (opened) => {
        if (this.#ending) return;
        const { model, swap } = opened;
        this.#text = opened.text;
        this.#start(open, opened);
        this.#kernel.send({ msg: { $case: "ready", value: ready(model, swap) } });
      },
      (error: unknown) => this.#fault(error),
    );
  }

  #start({ lookup }: Open, { model, text, swap }: Opened): void {
    if (lookup > 0 && model.verify === undefined) {
      console.error(
        `driver: ${model.info.name} is served without guesses: only keys and values kept as int8 let them be checked without changing an answer`,
      );
    }
    this.#executor = new Executor({
      model,
      swap,
      detokenizer: () => text.detokenizer(),
      report: (value) => this.#kernel.send({ msg: { $case: "outcome", value } }),
      reportPages: (done) => this.#kernel.send({ msg: { $case: "pages", value: { done } } }),
      lookup,
      nowUs: () => performance.now() * 1000,
    });
    this.#running = this.#executor.run().catch((error: unknown) => this.#fault(error));
  }

  async #answer(text: TextServer, request: TextRequest): Promise<void> {
    let reply = emptyReply(request.id);
    try {
      reply = { ...reply, ...(await answerText(text, request)) };
    } catch (error) {
      const { code, argument } =
        error instanceof ContixError ? error : { code: "EIO", argument: "" };
      reply = { ...reply, error: message(error), code, argument };
    }
    this.#kernel.send({ msg: { $case: "text", value: reply } });
  }

  /** An error that nothing caught: whatever it broke, we go no further. */
  broke(error: unknown): void {
    if (this.#ending) {
      console.error("driver: at its end:", error);
      process.exit(1);
    }
    this.#fault(error);
  }

  /** Tells the kernel why we can not go on. */
  #fault(error: unknown): void {
    if (this.#ending) return;
    // What has a code says in its message what is wrong; of anything else the place helps.
    console.error("driver:", error instanceof ContixError ? error.message : error);
    this.#kernel.send({ msg: { $case: "fault", value: { message: message(error) } } });
    void this.#end(1);
  }

  /** Exits, after the run that is under way: leaving in the middle of one aborts the process. */
  async #end(code: number): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    this.#executor?.stop();
    await this.#running;
    await this.#opening
      ?.then(async ({ model, text, swap }) => {
        await swap?.close();
        await text.close();
        await model.close();
      })
      .catch(() => {});
    const exit = this.#options.exit ?? process.exit;
    if (this.#stream.destroyed) exit(code);
    else this.#stream.end(() => exit(code));
  }
}

function emptyReply(id: bigint): TextReply {
  return { id, tokens: [], ends: [], texts: [], error: "", code: "", argument: "" };
}

/** The swap file that the kernel asks for. Where there can be none the driver goes on without. */
async function openSwap({ swap, swapSize }: Open, { pages }: Model): Promise<Swap | undefined> {
  if (swap === "" || pages.frames === 0) return undefined;
  try {
    return await SwapFile.open(swap, Number(swapSize), pages);
  } catch (error) {
    console.error(`driver: going on without swap: ${message(error)}`);
    return undefined;
  }
}

function ready({ info, pages }: Model, swap: Swap | undefined): Ready {
  return {
    engineDigest: info.engineDigest,
    model: info.name,
    slots: info.slots,
    slotTokens: info.slotTokens,
    vocab: info.vocab,
    chat: info.chat,
    license: info.license,
    driver: info.driver,
    chunkTokens: info.chunkTokens,
    pageBytes: pages.bytes,
    frames: pages.frames,
    blocks: swap?.blocks ?? 0,
    oneWay: info.oneWay ?? false,
  };
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
