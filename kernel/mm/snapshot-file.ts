/**
 * The snapshot file: its frame and what may stand in it. The layout is in
 * proto/contix/v1/snapshot.proto. A reader trusts nothing: frame, checksum, message
 * and meaning are checked in that order, and each failure says what is wrong. The
 * checksum finds damage, not forgery: what a forger gains is a context of his own.
 */
import { createHash } from "node:crypto";
import { ContixError } from "../../proto/errno.js";
import { Snapshot } from "../../proto/gen/contix/v1/snapshot.js";
import type { Tail } from "../journal/records.js";
import type { Run, Seam } from "../journal/state.js";
import { faultOf } from "./overflow/saved.js";

const MAGIC = Buffer.from("CONTIXCS", "latin1");
/** Of what is written. Version 1 has no segments. */
const VERSION = 2;
const HEAD = 16;
const CHECKSUM = 32;
const TAILS: readonly Tail[] = ["empty", "text", "closed", "assistant"];

/** The bytes of a snapshot. */
export function writeSnapshot(snapshot: Snapshot): Buffer {
  const body = Snapshot.encode(snapshot).finish();
  const head = Buffer.alloc(HEAD);
  MAGIC.copy(head);
  head.writeUInt32LE(VERSION, 8);
  head.writeUInt32LE(body.length, 12);
  return Buffer.concat([head, checksum(head, body), body]);
}

/** The snapshot in `bytes`. EINVAL, naming what is wrong with them. */
export function readSnapshot(bytes: Uint8Array): Snapshot {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = file.subarray(0, MAGIC.length);
  if (file.length === 0 || !start.equals(MAGIC.subarray(0, start.length))) {
    throw damaged("it is no snapshot of a context");
  }
  if (file.length < HEAD + CHECKSUM) {
    throw damaged(`it is truncated: ${file.length} bytes, fewer than its head has`);
  }
  const version = file.readUInt32LE(8);
  if (version < 1 || version > VERSION) {
    throw damaged(`it has version ${version}; this kernel reads versions 1 to ${VERSION}`);
  }
  const length = HEAD + CHECKSUM + file.readUInt32LE(12);
  if (file.length < length) {
    throw damaged(`it is truncated: ${file.length} of ${length} bytes`);
  }
  if (file.length > length) {
    throw damaged(`${file.length - length} bytes too many stand at its end`);
  }
  const body = file.subarray(HEAD + CHECKSUM);
  const written = file.subarray(HEAD, HEAD + CHECKSUM);
  if (!checksum(file.subarray(0, HEAD), body).equals(written)) {
    throw damaged("its checksum does not match: its bytes were changed");
  }
  return checked(decode(body));
}

/** The runs that the lengths of a snapshot mean. */
export function runsOf(lengths: readonly number[]): Run[] {
  const runs: Run[] = [];
  let start = 0;
  lengths.forEach((length, i) => {
    if (length > 0) runs.push({ start, given: i % 2 === 0 });
    start += length;
  });
  return runs;
}

/** The lengths that a snapshot has for these runs. */
export function lengthsOf(runs: readonly Run[], end: number): number[] {
  const lengths = runs.map((run, i) => (runs[i + 1]?.start ?? end) - run.start);
  return runs[0]?.given === false ? [0, ...lengths] : lengths;
}

/** Whether a text of a snapshot is a tail. */
export function isTail(text: string): text is Tail {
  return (TAILS as readonly string[]).includes(text);
}

/** The seams of a snapshot that was read. */
export function seamsOf(snapshot: Snapshot): Seam[] {
  return snapshot.seams.map(({ at, tail }) => ({ at, tail: isTail(tail) ? tail : "text" }));
}

function checksum(head: Uint8Array, body: Uint8Array): Buffer {
  return createHash("sha256").update(head.subarray(0, HEAD)).update(body).digest();
}

function decode(body: Uint8Array): Snapshot {
  try {
    return Snapshot.decode(body);
  } catch {
    throw damaged("its body is no snapshot message");
  }
}

/** What a correct checksum says nothing of: a writer that was wrong. */
function checked(snapshot: Snapshot): Snapshot {
  const { tokens, runs, seams, tail, vocab, last } = snapshot;
  const total = runs.reduce((sum, length) => sum + length, 0);
  if (total !== tokens.length) {
    throw damaged(`its runs have ${total} tokens, and it has ${tokens.length}`);
  }
  if (runs.some((length, i) => length === 0 && (i > 0 || runs.length === 1))) {
    throw damaged("it has an empty run");
  }
  const wrong = tokens.findIndex((token) => token >= vocab);
  if (wrong >= 0) {
    throw damaged(`its token ${wrong} is ${tokens[wrong]}, outside its vocabulary of ${vocab}`);
  }
  let before = 0;
  for (const seam of seams) {
    if (seam.at <= before || seam.at > tokens.length || !isTail(seam.tail)) {
      throw damaged(`its seam at ${seam.at} is wrong`);
    }
    before = seam.at;
  }
  if (!isTail(tail)) throw damaged(`its tail "${tail}" is unknown`);
  if (last && last.start > tokens.length)
    throw damaged("its last generation begins behind its end");
  const fault = faultOf(snapshot);
  if (fault) throw damaged(fault);
  return snapshot;
}

function damaged(what: string): ContixError {
  return new ContixError("EINVAL", `the snapshot can not be restored: ${what}`, {
    argument: "snapshot",
  });
}
