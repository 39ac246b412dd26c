/**
 * Which records of the journal are events, and what of them is told. A record is looked
 * at before it is applied: what it ends is still in the state.
 */
import { showId } from "../ids.js";
import type { ReadonlyState } from "../journal/journal.js";
import type { JournalRecord } from "../journal/records.js";
import type { Fact, KernelEvent } from "./event.js";

type Facts = Readonly<Record<string, Fact>>;

/** Undefined for what nobody outside needs to know. */
export function eventOf(state: ReadonlyState, record: JournalRecord): KernelEvent | undefined {
  switch (record.type) {
    case "proc.created":
    case "proc.run":
    case "proc.exited":
      return ofProcess(state, record);
    case "ctx.created":
    case "ctx.forked":
    case "ctx.moved":
    case "ctx.edited":
    case "ctx.closed":
      return ofContext(state, record);
    case "principal.added":
    case "principal.removed":
      return { principal: record.name, name: record.type, facts: {} };
    case "principal.quota":
      return { principal: record.name, name: record.type, facts: { quota: record.quota } };
    case "key.added":
    case "key.expires":
    case "key.revoked":
      return ofKey(state, record);
    default:
      return undefined;
  }
}

type Of<T extends JournalRecord["type"]> = Extract<JournalRecord, { type: T }>;

function ofProcess(
  state: ReadonlyState,
  record: Of<"proc.created" | "proc.run" | "proc.exited">,
): KernelEvent | undefined {
  const pid = showId(record.pid);
  if (record.type === "proc.created") {
    const { principal, name, spawned, parent, guest = false } = record;
    if (guest) return undefined;
    const facts = { pid, name, spawned, ...(parent !== 0n && { parent: showId(parent) }) };
    return { principal, name: "process.born", facts };
  }
  const process = state.processes.get(record.pid);
  if (!process || process.exit || process.guest) return undefined;
  const told = (name: string, facts: Facts): KernelEvent => {
    return { principal: process.principal, name, facts: { pid, ...facts } };
  };
  if (record.type === "proc.exited") {
    return told("process.over", { code: record.code, cause: record.cause });
  }
  // Run 0 is one that nobody has attached as yet.
  if (record.run === 0 || record.run === process.run) return undefined;
  return told(record.run === 1 ? "process.attached" : "process.restarted", { run: record.run });
}

function ofContext(
  state: ReadonlyState,
  record: Of<"ctx.created" | "ctx.forked" | "ctx.moved" | "ctx.edited" | "ctx.closed">,
): KernelEvent | undefined {
  const cid = showId(record.cid);
  if (record.type === "ctx.created" || record.type === "ctx.forked") {
    const principal = state.processes.get(record.owner)?.principal;
    // Without a handle it is the context of one call.
    if (principal === undefined || record.handle === 0) return undefined;
    const origin =
      record.type === "ctx.forked"
        ? { from: showId(record.from), tokens: record.length }
        : { model: record.model };
    const facts = { cid, owner: showId(record.owner), ...origin };
    return { principal, name: "context.opened", facts };
  }
  const context = state.contexts.get(record.cid);
  if (!context || context.cap === 0n) return undefined;
  const told = (name: string, facts: Facts): KernelEvent => {
    return { principal: context.principal, name, facts: { cid, ...facts } };
  };
  if (record.type === "ctx.closed") {
    return told("context.closed", { tokens: context.tokens.length });
  }
  if (record.type === "ctx.edited") {
    const { length } = record.tokens;
    const facts = { segments: record.filed.length, before: context.tokens.length };
    return told("context.paged", { ...facts, after: record.from + length });
  }
  return told("context.moved", record.owner === 0n ? {} : { owner: showId(record.owner) });
}

function ofKey(
  state: ReadonlyState,
  record: Of<"key.added" | "key.expires" | "key.revoked">,
): KernelEvent | undefined {
  const { id } = record;
  if (record.type === "key.added") {
    const { principal, name, scopes, expiresAt } = record;
    const facts = { id, name, scopes, ...(expiresAt !== 0 && { expiresAt }) };
    return { principal, name: "key.added", facts };
  }
  const key = state.keys.get(id);
  if (!key) return undefined;
  const facts = record.type === "key.expires" ? { id, expiresAt: record.at } : { id };
  return { principal: key.principal, name: record.type, facts };
}
