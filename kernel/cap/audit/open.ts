/**
 * The start of the audit log: where the chain ended when the kernel last ran, and what
 * has happened to it since. What was written behind the last whole line was never
 * acknowledged and is cut off; what the copy of the last head knows and the log has no
 * more was taken away. Both are said in the log itself, for every later `verify`.
 */
import { existsSync, readFileSync } from "node:fs";
import { type ChainEnd, GENESIS, type NoteLine, readHead } from "./chain.js";
import { auditFile, auditFiles, lastHeadFile } from "./files.js";
import { FileStore, readTail } from "./store.js";

export interface Opened {
  readonly store: FileStore;
  readonly end: ChainEnd;
  readonly notes: readonly NoteLine[];
}

/** Opens the log in `directory`, which is there. `at`: wall time, milliseconds. */
export async function openLog(directory: string, at: number): Promise<Opened> {
  const files = auditFiles(directory);
  const file = files.at(-1);
  const head = lastHead(directory);
  const notes: NoteLine[] = [];
  const say = (note: NoteLine["note"], text: string): void => void notes.push({ at, note, text });
  if (file === undefined) {
    if (head > 0) say("cut", `the log is gone; it had ${head} lines`);
    return { store: await FileStore.open(directory, 1, 0), end: { n: head, hash: GENESIS }, notes };
  }
  const tail = await readTail(auditFile(directory, file));
  if (tail.torn > 0) say("torn", `${tail.torn} bytes of a line that was not written to its end`);
  const before = files.at(-2);
  let { end } = tail;
  // A file that was only begun: the chain ends in the one before.
  if (tail.size === 0 && before !== undefined) {
    end = (await readTail(auditFile(directory, before))).end;
  }
  if (!end) {
    // Without a last line there is nothing to chain to.
    if (tail.size > 0 || head > 0) say("cut", `the end of file ${file} is not to be read`);
    const next = tail.size === 0 ? file : file + 1;
    const store = await FileStore.open(directory, next, 0);
    return { store, end: { n: head, hash: GENESIS }, notes };
  }
  if (head > end.n) say("cut", `lines ${end.n + 1} to ${head} are gone`);
  const store = await FileStore.open(directory, file, tail.size);
  // Numbers are not used twice: what was taken away stays a gap.
  return { store, end: { n: Math.max(head, end.n), hash: end.hash }, notes };
}

/** The number of the last head that was kept; 0 when there is none. */
function lastHead(directory: string): number {
  const path = lastHeadFile(directory);
  if (!existsSync(path)) return 0;
  return readHead(readFileSync(path, "utf8").trimEnd())?.n ?? 0;
}
