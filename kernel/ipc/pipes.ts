/**
 * Pipes: streams of bytes with a bounded buffer. A write goes in whole, or waits until it
 * can; writers take turns as they came, so what one write wrote stays together. A read
 * takes what there is.
 *
 * An end is a capability: reading ends have the right to read, writing ends the right to
 * write. When no reading end is left, a write is EPIPE; when no writing end is left, a
 * read takes what is in the pipe and then finds the end of the file. A named pipe of
 * which one kind of end was never opened waits for it.
 */
import { ContixError } from "../../proto/errno.js";
import type { Call } from "../call.js";
import type { Limits } from "../cap/rates/quota.js";
import { RIGHTS } from "../cap/rights.js";
import type { Journal } from "../journal/journal.js";
import { overBytes, RETRY_US } from "./boxes.js";
import { holders, type ObjectOf } from "./objects.js";
import { type Waiting, Waits } from "./waits.js";

type Pipe = ObjectOf<"pipe">;

interface Reader extends Waiting {
  readonly call: Call;
  readonly max: number;
}
interface Writer extends Waiting {
  readonly call: Call;
  readonly data: Uint8Array;
}

export class Pipes {
  readonly #journal: Journal;
  readonly #limits: Limits;
  readonly #readers = new Waits<Reader>();
  readonly #writers = new Waits<Writer>();

  constructor(journal: Journal, limits: Limits) {
    this.#journal = journal;
    this.#limits = limits;
  }

  read(call: Call, pipe: Pipe, max: number): void {
    const end = (error: ContixError): void => call.end(error);
    call.waitingOn = "pipe";
    call.onEnd(this.#readers.add(pipe.id, { pid: call.process.pid, call, max, end }));
    this.settle(pipe.id);
  }

  write(call: Call, pipe: Pipe, data: Uint8Array, mayWait: boolean): void {
    if (this.#isBroken(pipe)) throw broken(pipe);
    // Nothing to write is written: readers would never take it out.
    if (data.length === 0) {
      call.done({ $case: "pipeWrite", value: { free: pipe.capacity - pipe.bytes } });
      return;
    }
    const over = this.#over(pipe, data);
    if (over) throw over;
    const first = this.#writers.count(pipe.id) === 0;
    if (!mayWait && !(first && fits(pipe, data))) {
      const free = first ? pipe.capacity - pipe.bytes : 0;
      const message = `${free} bytes are free in the pipe, ${data.length} are to be written`;
      throw new ContixError("EAGAIN", message, { argument: "data", retryAfterUs: 20_000 });
    }
    const end = (error: ContixError): void => call.end(error);
    call.waitingOn = "pipe";
    call.onEnd(this.#writers.add(pipe.id, { pid: call.process.pid, call, data, end }));
    this.settle(pipe.id);
  }

  waiting(id: bigint): Waiting[] {
    return [...this.#readers.of(id), ...this.#writers.of(id)];
  }
  get ids(): bigint[] {
    return [...this.#readers.ids, ...this.#writers.ids];
  }

  /** Lets those go on who can. */
  settle(id: bigint): void {
    const pipe = this.#journal.state.ipc.objects.get(id);
    if (pipe?.type !== "pipe") return;
    while (this.#readOne(pipe) || this.#writeOne(pipe));
    if (this.#isBroken(pipe)) {
      for (const writer of this.#writers.of(id)) writer.end(broken(pipe));
    }
  }

  #readOne(pipe: Pipe): boolean {
    const reader = this.#readers.first(pipe.id);
    const eof = pipe.bytes === 0 && this.#isOver(pipe);
    if (!reader || (pipe.bytes === 0 && !eof)) return false;
    this.#readers.remove(pipe.id, reader);
    const data = peek(pipe, reader.max);
    const effects = eof ? [] : [{ type: "pipe.read" as const, id: pipe.id, bytes: data.length }];
    reader.call.done({ $case: "pipeRead", value: { data, eof } }, effects);
    return true;
  }

  #writeOne(pipe: Pipe): boolean {
    const writer = this.#writers.first(pipe.id);
    if (!writer || !fits(pipe, writer.data)) return false;
    this.#writers.remove(pipe.id, writer);
    const over = this.#over(pipe, writer.data);
    if (over) {
      writer.end(over);
      return true;
    }
    const free = pipe.capacity - pipe.bytes - writer.data.length;
    const { id } = pipe;
    const wrote = { type: "pipe.wrote" as const, id, data: writer.data };
    writer.call.done({ $case: "pipeWrite", value: { free } }, [wrote]);
    return true;
  }

  /** EAGAIN: there is room in the pipe, and none in a quota. That nobody waits for: nothing tells when there is. */
  #over(pipe: Pipe, data: Uint8Array): ContixError | undefined {
    const why = overBytes(this.#journal.state, this.#limits, pipe, data.length);
    if (why === "") return undefined;
    return new ContixError("EAGAIN", why, { argument: "data", retryAfterUs: RETRY_US });
  }

  /** Whether no end that reads is left. */
  #isBroken(pipe: Pipe): boolean {
    return pipe.read && holders(this.#journal.state, pipe, RIGHTS.read).length === 0;
  }
  /** Whether no end that writes is left. */
  #isOver(pipe: Pipe): boolean {
    return pipe.written && holders(this.#journal.state, pipe, RIGHTS.write).length === 0;
  }
}

function fits({ capacity, bytes }: Pipe, data: Uint8Array): boolean {
  return bytes + data.length <= capacity;
}

/** The first bytes of the pipe, `max` at most. */
function peek({ chunks }: Pipe, max: number): Buffer {
  const parts: Uint8Array[] = [];
  let left = max;
  for (const chunk of chunks) {
    if (left === 0) break;
    const part = chunk.subarray(0, left);
    parts.push(part);
    left -= part.length;
  }
  return Buffer.concat(parts);
}

function broken({ name }: Pipe): ContixError {
  const which = name === "" ? "the pipe" : `pipe "${name}"`;
  return new ContixError("EPIPE", `nobody is left to read ${which}`, { argument: "handle" });
}
