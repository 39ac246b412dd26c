/**
 * Checks an audit log against itself, its key, and heads that were exported. Each finding
 * says where. It reads files only: no daemon, nothing of the kernel's state.
 */

import type { KeyObject } from "node:crypto";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { type ChainEnd, GENESIS, hashOf, headIsSigned, publicKey, readHead } from "./chain.js";
import { auditFile, auditFiles, lastHeadFile, publicKeyFile } from "./files.js";

export interface Finding {
  /** The file's name; "" for what is not in one. */
  readonly file: string;
  /** Its line, from 1; 0: the file as a whole. */
  readonly line: number;
  readonly what: string;
}

export interface Verdict {
  /** Lines, and of them records of calls and heads. */
  readonly lines: number;
  readonly records: number;
  readonly heads: number;
  /** The numbers of the first and the last line. */
  readonly from: number;
  readonly to: number;
  /** Lines behind the last head: still being written, or left by a daemon that was killed. */
  readonly unsigned: number;
  /** Exported heads that the log was compared with. */
  readonly compared: number;
  readonly findings: readonly Finding[];
}

export interface VerifyOptions {
  readonly directory: string;
  /** The text of a file of exported heads. */
  readonly heads?: string;
  /** The public key as hex; by default the one that stands beside the log. */
  readonly key?: string;
}

/** Findings beyond this are of the same kind as those before. */
const FINDINGS = 50;

export async function verifyAudit(options: VerifyOptions): Promise<Verdict> {
  const check = new Check(options);
  for (const number of auditFiles(options.directory)) await check.file(number);
  return check.end();
}

interface Line {
  readonly n: number;
  readonly prev: string;
  readonly value: Readonly<Record<string, unknown>>;
}

class Check {
  readonly #directory: string;
  readonly #key: KeyObject | undefined;
  readonly #keyHex: string;
  readonly #findings: Finding[] = [];
  /** Exported heads that have not been met yet, by number. */
  readonly #exported = new Map<number, string>();
  readonly #compared: number;
  /** What the retention took away, as the log says. */
  readonly #dropped: ChainEnd[] = [];
  #end: ChainEnd | undefined;
  #first: { readonly n: number; readonly prev: string; readonly file: number } | undefined;
  #lastFile = 0;
  #counts = { lines: 0, records: 0, heads: 0, unsigned: 0 };
  #where = { file: "", line: 0 };

  constructor({ directory, heads, key }: VerifyOptions) {
    this.#directory = directory;
    this.#keyHex = key ?? this.#read(publicKeyFile(directory)).trim();
    this.#key = publicKey(this.#keyHex);
    if (!this.#key) this.#find("there is no public key (key.pub); give one");
    if (heads !== undefined) this.#export("the exported heads", heads);
    this.#export("head.json", this.#read(lastHeadFile(directory)));
    this.#compared = this.#exported.size;
  }

  async file(number: number): Promise<void> {
    const path = auditFile(this.#directory, number);
    this.#where = { file: basename(path), line: 0 };
    if (this.#lastFile > 0 && number !== this.#lastFile + 1) {
      this.#find(`the file before this one is ${this.#lastFile}: files are missing`);
    }
    this.#lastFile = number;
    for await (const { bytes, whole } of linesOf(path)) {
      this.#where = { ...this.#where, line: this.#where.line + 1 };
      if (whole) this.#line(bytes, number);
      else this.#find(`${bytes.length} bytes that are no whole line`);
    }
    if (this.#where.line === 0 && number > 1) this.#find("the file is empty");
  }

  end(): Verdict {
    const { lines, records, heads, unsigned } = this.#counts;
    this.#beginning();
    this.#missing();
    const from = this.#first?.n ?? 0;
    const to = this.#end?.n ?? 0;
    const compared = this.#compared;
    return { lines, records, heads, unsigned, from, to, compared, findings: this.#findings };
  }

  #line(bytes: Buffer, file: number): void {
    const line = readLine(bytes);
    if (!line) {
      this.#find("not a line of an audit log");
      // What follows is chained to the bytes as they are.
      if (this.#end) this.#end = { n: this.#end.n + 1, hash: hashOf(bytes) };
      return;
    }
    this.#counts.lines++;
    this.#first ??= { n: line.n, prev: line.prev, file };
    if (this.#end) this.#follows(this.#end, line);
    this.#end = { n: line.n, hash: hashOf(bytes) };
    this.#compare(line.n, bytes);
    this.#kind(line, bytes, file);
  }

  #follows(before: ChainEnd, { n, prev }: Line): void {
    if (n > before.n + 1) this.#find(`lines ${before.n + 1} to ${n - 1} are missing before it`);
    else if (n <= before.n) this.#find(`number ${n} after ${before.n}: out of order, or twice`);
    else if (prev !== before.hash) {
      this.#find(`it holds another hash of line ${before.n}: that line, or this one, was changed`);
    }
  }

  #kind({ n, value }: Line, bytes: Buffer, file: number): void {
    if (this.#where.line === 1) this.#header(value, file);
    else if ("file" in value) this.#find("a file begins in the middle of one");
    if ("sig" in value) this.#head(bytes);
    else this.#counts.unsigned++;
    if ("call" in value) this.#counts.records++;
    if (value.note === "cut") this.#find(`the kernel found at its start: ${value.text}`);
    if (value.note === "lost") this.#find(`the kernel had no room for ${value.text}`);
    const { through } = value;
    if (value.note === "dropped" && isEnd(through) && through.n < n) this.#dropped.push(through);
  }

  #header(value: Line["value"], file: number): void {
    if (value.file !== file) this.#find(`it does not begin as file ${file} does`);
    if (this.#key && value.key !== this.#keyHex) {
      this.#find(`its heads are signed with another key, ${value.key}`);
    }
  }

  #head(bytes: Buffer): void {
    const head = readHead(bytes.toString("latin1"));
    if (!head) this.#find("a head that is not as heads are written");
    else if (this.#key && !headIsSigned(head, this.#key)) this.#find("a signature that is wrong");
    else {
      this.#counts.heads++;
      this.#counts.unsigned = 0;
    }
  }

  #compare(n: number, bytes: Buffer): void {
    const exported = this.#exported.get(n);
    if (exported === undefined) return;
    this.#exported.delete(n);
    if (exported === bytes.toString("latin1")) return;
    this.#find(`not the head ${n} that was exported: the log was rewritten up to here`);
  }

  /** The first line that is there is the first of all, or the log says what went before it. */
  #beginning(): void {
    if (!this.#first) return;
    const { n, prev, file } = this.#first;
    if (file === 1 && prev === GENESIS) return;
    if (this.#dropped.some((end) => end.n === n - 1 && end.hash === prev)) return;
    this.#where = { file: basename(auditFile(this.#directory, file)), line: 1 };
    this.#find(`it begins with line ${n}, and the log does not say that those before were dropped`);
  }

  /** Exported heads of which there is no line. Those before the first line went with the retention. */
  #missing(): void {
    const from = this.#first?.n ?? 1;
    const gone = [...this.#exported.keys()].filter((n) => n >= from).sort((a, b) => a - b);
    if (gone.length === 0) return;
    const to = this.#end?.n ?? 0;
    this.#where = { file: "", line: 0 };
    const cut = gone.filter((n) => n > to);
    const last = gone.at(-1);
    if (cut.length > 0) this.#find(`the log ends with line ${to}; head ${last} was exported`);
    else this.#find(`no line has the number of the exported head ${last}`);
  }

  #export(what: string, text: string): void {
    for (const [at, padded] of text.split("\n").entries()) {
      const line = padded.trimEnd();
      if (line === "") continue;
      const head = readHead(line);
      if (!head) this.#find(`${what}, line ${at + 1}: not a head`);
      else if (this.#key && !headIsSigned(head, this.#key)) {
        this.#find(`${what}, line ${at + 1}: a signature that is wrong`);
      } else if ((this.#exported.get(head.n) ?? line) !== line) {
        this.#find(`${what}, line ${at + 1}: another head ${head.n} than before`);
      } else this.#exported.set(head.n, line);
    }
  }

  #find(what: string): void {
    if (this.#findings.length < FINDINGS) this.#findings.push({ ...this.#where, what });
  }

  #read(path: string): string {
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }
}

function readLine(bytes: Buffer): Line | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const { n, prev } = value as Record<string, unknown>;
    if (!Number.isSafeInteger(n) || typeof n !== "number" || typeof prev !== "string") {
      return undefined;
    }
    return { n, prev, value: value as Record<string, unknown> };
  } catch {
    return undefined;
  }
}

function isEnd(value: unknown): value is ChainEnd {
  if (typeof value !== "object" || value === null) return false;
  const { n, hash } = value as Record<string, unknown>;
  return typeof n === "number" && typeof hash === "string";
}

/** The lines of a file as bytes; the last one is not whole when no line feed ends it. */
export async function* linesOf(
  path: string,
): AsyncGenerator<{ readonly bytes: Buffer; readonly whole: boolean }> {
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(path)) {
    let bytes: Buffer = Buffer.concat([rest, chunk as Buffer]);
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a)) {
      yield { bytes: bytes.subarray(0, at), whole: true };
      bytes = bytes.subarray(at + 1);
    }
    rest = Buffer.from(bytes);
  }
  if (rest.length > 0) yield { bytes: rest, whole: false };
}
