/**
 * A thread of the swap file. It reads a page into a buffer of its own, which stays in the
 * cache of its core, checks it there in one piece and copies it to its place; or it seals a
 * page and writes it. All of that waits for the disk and for nothing else.
 */
import { readSync, writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { PageFiller } from "./page-memory.js";
import { BAD_PAGE } from "./swap.js";
import { BlockFormat, NAME_BYTES } from "./swap-block.js";
import type { Errors, Job, SwapWorkerData } from "./swap-protocol.js";

const port = parentPort;
if (port === null) throw new Error("swap-worker.ts runs as a worker thread only");

const { file, pageBytes, memory, staging }: SwapWorkerData = workerData;
const format = new BlockFormat(pageBytes);
const own = Buffer.allocUnsafeSlow(format.length);
const filler = new PageFiller(memory, format.page(own));

port.on("message", (job: Job) => port.postMessage(done(job)));

function done({ kind, moves, names }: Job): Errors {
  const move = kind === "read" ? read : write;
  return moves.map(({ block, at }, i) => {
    try {
      return move(block * format.stride, names.subarray(i * NAME_BYTES, (i + 1) * NAME_BYTES), at);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  });
}

function read(position: number, name: Uint8Array, at: number): string {
  for (let got = 0; got < own.length; ) {
    const more = readSync(file, own, got, own.length - got, position + got);
    // The file ends here.
    if (more === 0) return BAD_PAGE;
    got += more;
  }
  if (!format.holds(name, own)) return BAD_PAGE;
  filler.fill(at);
  return "";
}

function write(position: number, name: Uint8Array, at: number): string {
  const block = Buffer.from(staging, at * format.length, format.length);
  format.seal(name, block);
  for (let put = 0; put < block.length; ) {
    put += writeSync(file, block, put, block.length - put, position + put);
  }
  return "";
}
