/**
 * What a record says, as text. Every call that changes something has one, so it is written by
 * hand: to make an object of those fields that are not empty, and JSON of that, takes several times
 * as long as the hash of the line does.
 */
import { hash } from "node:crypto";
import { showId } from "../../ids.js";
import type { AuditEntry } from "../audit.js";

/** Of a text that a caller chose, characters. */
const TEXT = 200;
const ARGS = 16;

/** What is written as it is: JSON has nothing to escape in it. */
const PLAIN = /^[\w .,:/@-]*$/;

/**
 * The JSON of a `RecordLine`. Arguments are named by a digest with a secret, so that nobody guesses
 * them from the log. `times`: the same refusal, so often; undefined: once.
 */
export function recordText(
  entry: AuditEntry,
  denied: boolean,
  secret: string,
  times?: number,
): string {
  const { at, principal, pid, run, seq, call, object, handle, result, reason, digest } = entry;
  let text = `{"at":${at}`;
  if (pid !== 0n) text += `,"pid":"${showId(pid)}","run":${run},"seq":"${seq}"`;
  if (principal !== "") text += `,"principal":${quoted(principal)}`;
  text += `,"call":${quoted(call)}`;
  if (object !== "") text += `,"object":${quoted(object)}`;
  if (handle !== 0) text += `,"handle":${handle}`;
  text += `,"result":"${result}"`;
  // Other failures may quote an argument; a denial names rights and objects only.
  if (reason !== "" && denied) text += `,"reason":${quoted(reason)}`;
  if (digest) text += `,"args":"${hash("sha256", secret + digest, "hex").slice(0, ARGS)}"`;
  if (times) text += `,"times":${times}`;
  return `${text}}`;
}

function quoted(text: string): string {
  const short = text.length > TEXT ? text.slice(0, TEXT) : text;
  return PLAIN.test(short) ? `"${short}"` : JSON.stringify(short);
}
