/**
 * Calls of processes here on objects and processes of other kernels. The rights were
 * checked here, as of every call; the home checks on its side, does it, and answers. What
 * ends the call here meanwhile (a cancel, a deadline, a handle that is taken back) is asked
 * of the home, whose answer says whether it was in time: so no message is taken there and
 * lost here.
 *
 * When the session with the home is over, nobody can tell what became of the calls under
 * way, EUNKNOWN; and what was open there is closed, here too.
 */
import { ContixError, fromWire } from "../../../proto/errno.js";
import type { AwayGone, AwayObject, AwayReply } from "../../../proto/gen/contix/v1/between.js";
import type { OpenResult } from "../../../proto/gen/contix/v1/ipc.js";
import { argumentsOf } from "../../args.js";
import type { Call, Result } from "../../call.js";
import { type ObjectRef, type ObjectType, showObject } from "../../cap/rights.js";
import { nodeOf } from "../../ids.js";
import type { Kernel } from "../../kernel.js";
import { processWaits } from "../../mm/process-waits.js";
import { checkMessage } from "../mail-calls.js";
import { checkType, endsOf, hand, LARGEST_PIPE } from "../open-calls.js";
import { Held } from "./held.js";
import type { Link } from "./link.js";

/** How long a home that is out of reach may take to say whether a call that was given up was done. */
const GIVE_UP_US = 2_000_000;
/** Calls that may be under way to other kernels. */
const MOST_CALLS = 16_384;
/** What is gone with the session, whatever became of the call. */
const HELD_BY_SESSION: ReadonlySet<string> = new Set(["lock", "unlock", "renew", "barrierWait"]);
/** Calls that mostly wait there, and what for. */
const WAITS: ReadonlyMap<string, string> = new Map([
  ["recv", "message"],
  ["request", "reply"],
  ["pipeRead", "pipe"],
  ["lock", "lock"],
  ["barrierWait", "barrier"],
]);

interface Pending {
  readonly n: bigint;
  readonly call: Call;
  readonly link: Link;
  /** Why it is to end; the home was asked. */
  asked: ContixError | undefined;
  cancelGiveUp: () => void;
}

export class Away {
  readonly #kernel: Kernel;
  readonly #held: Held;
  readonly #pending = new Map<bigint, Pending>();
  /** The kernels that have heard of a process, by pid. */
  readonly #known = new Map<bigint, Set<Link>>();
  readonly #links = new Map<number, Link>();
  #last = 0n;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#held = new Held(kernel.journal, (node, held) => {
      const link = this.#links.get(node);
      if (link) this.#know(held.pid, link);
      link?.send({ $case: "held", value: held });
    });
  }

  /** EAGAIN: too many calls are under way; EINVAL: handles do not go there. */
  forward(call: Call, link: Link): void {
    const { process, run, syscall } = call;
    if (this.#pending.size >= MOST_CALLS) {
      const message = `${this.#pending.size} calls to other kernels are under way`;
      throw new ContixError("EAGAIN", message, { retryAfterUs: 100_000 });
    }
    checkHandles(call);
    checkSize(this.#kernel, call);
    this.#held.settle();
    this.#links.set(link.node, link);
    this.#know(process.pid, link);
    const n = ++this.#last;
    const pending: Pending = { n, call, link, asked: undefined, cancelGiveUp: () => {} };
    this.#pending.set(n, pending);
    call.waitingOn = `n${link.node}`;
    call.goesOnElsewhere((error) => this.#ask(pending, error));
    const { pid, principal } = process;
    const value = { n, pid, run, principal, on: onOf(call), call: syscall };
    link.send({ $case: "call", value });
    const kind = WAITS.get(syscall.call?.$case ?? "");
    if (kind !== undefined) processWaits(this.#kernel, process, { kind });
  }

  /** The home says what became of a call. */
  answered(node: number, { n, reply }: AwayReply): void {
    const pending = this.#pending.get(n);
    if (!pending || pending.link.node !== node || !reply?.result) return;
    this.#forget(pending);
    const { call, asked } = pending;
    const { result } = reply;
    if (result.$case !== "error") this.#done(pending, result);
    else if (asked && result.value.name === "ECANCELED") call.fail(asked);
    else call.fail(fromWire(result.value));
  }

  /** An object there is gone. */
  gone(node: number, { type, id }: AwayGone): void {
    if (nodeOf(id) === node) this.#close(this.#held.drop(node, { type: type as ObjectType, id }));
  }

  /** The process, or with `again` a run of it, is over: what it waits for it waits for no more. */
  processOver(pid: bigint, again: boolean): void {
    const links = this.#known.get(pid);
    if (!links) return;
    const error = new ContixError("ECANCELED", "the program ended");
    for (const pending of [...this.#pending.values()]) {
      if (pending.call.process.pid !== pid) continue;
      this.#forget(pending);
      pending.call.fail(error);
    }
    if (!again) {
      this.#held.forget(pid);
      this.#known.delete(pid);
    }
    for (const link of links) link.send({ $case: "over", value: { pid, again } });
  }

  /** The session with that kernel is over. */
  lost(node: number, why: string): void {
    for (const pending of [...this.#pending.values()]) {
      if (pending.link.node !== node) continue;
      this.#forget(pending);
      pending.call.fail(lostError(pending, why));
    }
    for (const [pid, links] of [...this.#known]) {
      for (const link of [...links]) if (link.node === node) links.delete(link);
      if (links.size === 0) this.#known.delete(pid);
    }
    this.#close(this.#held.drop(node));
  }

  /** Objects of another kernel are gone, or out of reach for good: so are the handles on them. */
  #close(objects: readonly ObjectRef[]): void {
    if (objects.length === 0) return;
    const { journal, trap } = this.#kernel;
    journal.append(...objects.map((object) => ({ type: "cap.gone" as const, object })));
    trap.recheck();
  }

  /** Who would end the call is passed on; a home that does not answer is waited for so long only. */
  #ask(pending: Pending, error: ContixError): void {
    if (pending.asked) return;
    pending.asked = error;
    const { n, call, link } = pending;
    if (error.code === "ESHUTDOWN") {
      this.#forget(pending);
      call.fail(error);
      return;
    }
    link.send({ $case: "cancel", value: { n, pid: call.process.pid } });
    this.#giveUpLater(pending, error);
  }

  /**
   * While the line is there the answer comes, or the session is over. One that comes after the
   * call was given up is still heard: what it opened is closed again.
   */
  #giveUpLater(pending: Pending, error: ContixError): void {
    const { call, link } = pending;
    pending.cancelGiveUp = this.#kernel.clock.after(GIVE_UP_US, () => {
      if (link.reachable) return this.#giveUpLater(pending, error);
      const message = `${error.message}; and n${link.node} can not say now whether it was done before`;
      return call.fail(new ContixError("EUNKNOWN", message));
    });
  }

  #done({ call, link }: Pending, result: Result): void {
    if (result.$case === "open") this.#opened(call, link, result.value);
    else call.done(result);
  }

  /** What was opened there gets handles here. */
  #opened(call: Call, { node }: Link, opened: OpenResult): void {
    const { type: given, name, end } = argumentsOf(call, "open");
    const type = checkType(given);
    const object = { type, id: opened.id };
    const { pid } = call.process;
    const rights = endsOf(type, name, { end });
    const held = call.uses[0]?.capability.rights ?? 0;
    this.#held.given(
      node,
      object,
      pid,
      rights.map((each) => each & held),
    );
    if (call.over) return;
    try {
      const { handles, records } = hand(this.#kernel, call, object, rights);
      const [handle = 0, writeHandle = 0] = handles;
      call.done({ $case: "open", value: { ...opened, handle, writeHandle } }, records);
    } catch (error) {
      call.fail(error);
    }
  }

  #forget(pending: Pending): void {
    pending.cancelGiveUp();
    this.#pending.delete(pending.n);
  }

  #know(pid: bigint, link: Link): void {
    const links = this.#known.get(pid) ?? new Set();
    this.#known.set(pid, links.add(link));
  }
}

/** The capability that the call is made by. */
function onOf({ uses }: Call): AwayObject | undefined {
  const [use] = uses;
  if (!use) return undefined;
  const { object, rights } = use.capability;
  const { type, id } = object;
  const named = typeof id === "bigint" ? { id, name: "" } : { id: 0n, name: id };
  return { type, ...named, rights };
}

function checkHandles({ syscall: { call } }: Call): void {
  if (call?.$case !== "send" || call.value.handles.length === 0) return;
  const message =
    "handles go to a process of the same kernel; another opens what it needs by its name";
  throw new ContixError("EINVAL", message, { argument: "handles" });
}

/** EMSGSIZE before it is on the way: what no kernel takes. */
function checkSize({ config }: Kernel, { syscall: { call } }: Call): void {
  if (call?.$case === "send" || call?.$case === "request") {
    checkMessage({ config }, call.value);
  } else if (call?.$case === "reply") {
    checkMessage({ config }, { body: call.value.body, topic: "", priority: 0 });
  } else if (call?.$case === "pipeWrite" && call.value.data.length > LARGEST_PIPE) {
    const message = `${call.value.data.length} bytes in one write; no pipe holds more than ${LARGEST_PIPE}`;
    throw new ContixError("EMSGSIZE", message, { argument: "data" });
  }
}

function lostError({ call }: Pending, why: string): ContixError {
  const name = call.syscall.call?.$case ?? "";
  if (HELD_BY_SESSION.has(name)) {
    const what = call.uses[0] ? showObject(call.uses[0].object) : "what was open there";
    const message = `${why}: ${what} is closed, and free`;
    return new ContixError("EBADF", message, { argument: "handle" });
  }
  return new ContixError("EUNKNOWN", `${why}: it can not be told whether the call was done`);
}
