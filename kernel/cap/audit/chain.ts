/**
 * The chain of the audit log, as text.
 *
 * The log is a sequence of lines over one or more files. Each line is a JSON object that
 * begins with its number `n` and with `prev`, the SHA-256 of the whole line before it
 * (without its line feed; 64 zeros before the first). So no line can be changed, taken
 * out, put in or moved without the next one telling of it. Every group commit ends with
 * a *head*: a line with an Ed25519 signature over itself. A head vouches for every line
 * before it; a copy of a head kept elsewhere finds also what the chain alone cannot: an
 * end that was cut off, and a tail that was written anew by somebody who has the key.
 *
 * The last line of a log has no successor that holds its hash, so it must be a head, and
 * a head must be written exactly as `headLine` writes it: a signature that merely
 * verifies could be spelled in other ways.
 */
import { createPrivateKey, createPublicKey, hash, type KeyObject, verify } from "node:crypto";

/** What `prev` is in the first line of all. */
export const GENESIS = "0".repeat(64);

/** Where a chain stands: the number of its last line, and that line's hash. */
export interface ChainEnd {
  readonly n: number;
  readonly hash: string;
}

/** A call that was denied or that changed something. Empty fields are left out of the line. */
export interface RecordLine {
  readonly at: number;
  readonly pid?: string;
  readonly principal?: string;
  readonly run?: number;
  readonly seq?: string;
  readonly call: string;
  readonly object?: string;
  readonly handle?: number;
  readonly result: string;
  readonly reason?: string;
  /** Names the call's arguments without telling them: a keyed digest. */
  readonly args?: string;
  /** The same refusal, so often within one group commit. */
  readonly times?: number;
}

/** The first line of a file. */
export interface FileLine {
  readonly at: number;
  readonly file: number;
  /** The public key of the heads that follow, raw, as hex. */
  readonly key: string;
}

/** What the log says of itself. */
export interface NoteLine {
  readonly at: number;
  readonly note: "start" | "stop" | "torn" | "cut" | "lost" | "dropped";
  readonly text: string;
  /** With "dropped": the last line that the retention took away, and its hash. */
  readonly through?: ChainEnd;
}

/** A signed end of the chain. */
export interface Head {
  readonly n: number;
  readonly prev: string;
  readonly at: number;
  readonly sig: string;
}

/** The hash by which the next line names this one. */
export function hashOf(line: string | Uint8Array): string {
  return hash("sha256", line, "hex");
}

/** The line after `end` that says `body`, the text of a JSON object, without its line feed. */
export function lineAfter(end: ChainEnd, body: string): string {
  // `body` is never empty, so it begins with {" and has something in it.
  return `{"n":${end.n + 1},"prev":"${end.hash}",${body.slice(1)}`;
}

/** What a head after `end` signs. */
export function headText(end: ChainEnd, at: number): string {
  return `{"n":${end.n + 1},"prev":"${end.hash}","at":${at}`;
}

export function headLine(signed: string, sig: Uint8Array): string {
  return `${signed},"sig":"${Buffer.from(sig).toString("hex")}"}`;
}

/** The head that a line is, exactly as it was written; undefined when it is none. */
export function readHead(line: string): Head | undefined {
  const found =
    /^\{"n":([1-9]\d{0,15}),"prev":"([0-9a-f]{64})","at":(\d{1,16}),"sig":"([0-9a-f]{128})"\}$/.exec(
      line,
    );
  if (!found) return undefined;
  const [, n = "", prev = "", at = "", sig = ""] = found;
  return { n: Number(n), prev, at: Number(at), sig };
}

/** Whether the head was signed with the key. */
export function headIsSigned({ n, prev, at, sig }: Head, key: KeyObject): boolean {
  const text = headText({ n: n - 1, hash: prev }, at);
  return verify(null, Buffer.from(text), key, Buffer.from(sig, "hex"));
}

const PRIVATE_DER = Buffer.from("302e020100300506032b657004220420", "hex");
const PUBLIC_DER = Buffer.from("302a300506032b6570032100", "hex");

/** The Ed25519 key with this seed of 32 bytes (RFC 8410 around RFC 8032's seed). */
export function signingKey(seed: Uint8Array): KeyObject {
  const key = Buffer.concat([PRIVATE_DER, seed]);
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

/** The public half, raw, as hex. */
export function publicHex(key: KeyObject): string {
  const der = createPublicKey(key).export({ format: "der", type: "spki" });
  return der.subarray(PUBLIC_DER.length).toString("hex");
}

/** The key of its raw hex form; undefined when it is none. */
export function publicKey(hex: string): KeyObject | undefined {
  if (!/^[0-9a-f]{64}$/.test(hex)) return undefined;
  const key = Buffer.concat([PUBLIC_DER, Buffer.from(hex, "hex")]);
  return createPublicKey({ key, format: "der", type: "spki" });
}
