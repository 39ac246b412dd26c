/**
 * The subjects of the NATS door. A *door id* is what a client makes up for one
 * connection, at random; it names the connection in every subject, so that a frame of
 * a connection that was replaced is told apart from those of its successor.
 *
 *   ctx.hello.<door>                         request: empty; answer: a ServerFrame, the welcome or an error
 *   ctx.<node>.<local pid>.req.<door>.ready  the client listens to what follows
 *   ctx.<node>.<local pid>.req.<door>.frame  a ClientFrame
 *   ctx.<node>.<local pid>.req.<door>.call   request: a Syscall; answer: its Reply
 *   ctx.<node>.<local pid>.req.<door>.bye    the client ends in order
 *   ctx.<node>.<local pid>.in.<door>.frame   a ServerFrame
 *   ctx.<node>.<local pid>.in.<door>.end     the kernel ended the attachment in order
 *   ctx.events.<node>.<who>.<noun>.<verb>    JSON, see nats-events.ts; `who`: a principal, or `_kernel`
 *   ctx.audit.<node>.head                    a head of the audit log, as it stands there
 */
import { showId } from "../ids.js";
import { NODE } from "../kernel.js";

/** What a door id looks like: 128 bits and more in letters that subjects may have. */
export const DOOR_ID = /^[A-Za-z0-9_-]{22,64}$/;

export const HELLO = "ctx.hello";
/** All requests to this kernel. */
export function requests(): string {
  return `ctx.n${NODE}.*.req.*.*`;
}

export function auditHeads(): string {
  return `ctx.audit.n${NODE}.head`;
}

export function inboxOf(door: string): string {
  return `_INBOX.${door}`;
}

/** Where a process's frames go out: without the last word. */
export function inSubject(pid: bigint, door: string): string {
  return `ctx.${showId(pid)}.in.${door}`;
}

export function reqSubject(pid: bigint, door: string): string {
  return `ctx.${showId(pid)}.req.${door}`;
}

/** The parts of a request's subject. */
export function partsOf(subject: string): { door: string; kind: string; process: string } {
  const [, node = "", local = "", , door = "", kind = ""] = subject.split(".");
  return { door, kind, process: `${node}.${local}` };
}

/** A principal's name as one word of a subject. */
export function wordOf(principal: string): string {
  return /^[A-Za-z0-9-]+$/.test(principal)
    ? principal
    : `_${Buffer.from(principal).toString("base64url")}`;
}

/** Where an event of a principal's goes; of "": of the kernel itself. */
export function eventSubject(principal: string, event: string): string {
  return `${events()}.${principal === "" ? "_kernel" : wordOf(principal)}.${event}`;
}

export function eventsFor(principal: string): string {
  return `${events()}.${wordOf(principal)}.>`;
}

export function allEvents(): string {
  return `${events()}.>`;
}

function events(): string {
  return `ctx.events.n${NODE}`;
}
