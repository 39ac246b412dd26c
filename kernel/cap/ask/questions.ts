/**
 * Asking before. A capability may carry a rule: whoever calls through it waits, parked in
 * the trap, until the one who is named there has answered. So a question is nothing of
 * its own: it is the state of a call. It ends with the call (an answer, the deadline of
 * the rule or of the call, a cancel, the caller's death, the capability's revocation), it
 * stays while the caller has lost its stream, and as a call has one name and one result,
 * an allowed one runs once. No answer is a no.
 *
 * Who may answer: the process that is named; or, where a principal is, whoever has a
 * namespace over that principal which itself asks nobody (an administrator's is over
 * every one). A sandboxed child has none, and the asker may never answer itself.
 */
import { ContixError, type Errno } from "../../../proto/errno.js";
import type { Question as WireQuestion } from "../../../proto/gen/contix/v1/ask.js";
import type { Call } from "../../call.js";
import type { Clock } from "../../clock.js";
import type { Config } from "../../config.js";
import { showId } from "../../ids.js";
import type { AskRule } from "../../journal/fold-caps.js";
import type { Journal, Process } from "../../journal/journal.js";
import type { Audit } from "../audit.js";
import { type Capability, isExpired } from "../check.js";
import { EVERYONE, showObject } from "../rights.js";
import { detailOf } from "./detail.js";

const AGAIN_US = 1_000_000;
const REASON = 500;

interface Needs {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly audit: Pick<Audit, "record">;
  readonly config: { readonly limits: Pick<Config["limits"], "questions" | "questionsPerProcess"> };
}

interface Question {
  readonly id: bigint;
  readonly call: Call;
  readonly rule: AskRule;
  readonly askedAt: number;
  readonly allow: () => void;
  readonly refuse: (error: ContixError) => void;
  readonly forget: () => void;
}

/** Somebody who waits for questions. */
interface Watcher {
  readonly process: Process;
  readonly after: bigint;
  readonly found: (questions: WireQuestion[]) => void;
}

export class Questions {
  readonly #with: Needs;
  readonly #open = new Map<bigint, Question>();
  readonly #watchers = new Set<Watcher>();
  #last = 0n;

  constructor(needs: Needs) {
    this.#with = needs;
  }

  /** Questions that nobody has answered. */
  get open(): number {
    return this.#open.size;
  }

  /**
   * Undefined when nothing that the call uses asks. Else resolves when the call may go on,
   * or is over (whoever goes on with it checks its rights again), and rejects when it may
   * not: EPERM; EAGAIN when there are too many questions.
   */
  before(call: Call): Promise<void> | undefined {
    const rules = new Map<string, AskRule>();
    for (const { capability } of call.uses) {
      const { ask } = capability;
      if (ask) rules.set(whoOf(ask), ask);
    }
    return rules.size === 0 ? undefined : this.#askAll(call, [...rules.values()]);
  }

  /** The open questions above `after` that the process may answer, the oldest first. */
  list(process: Process, after: bigint): WireQuestion[] {
    const now = this.#with.clock.now();
    const own = [...this.#open.values()].filter(
      (question) => question.id > after && this.#mayAnswer(process, question),
    );
    return own.map((question) => describe(question, now));
  }

  /** Calls `found` once there are such questions; the result stops waiting. */
  watch(watcher: Watcher): () => void {
    const there = this.list(watcher.process, watcher.after);
    if (there.length > 0) {
      watcher.found(there);
      return () => {};
    }
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Answers. ENOENT: there is no such question, or no more; EPERM: it is another's to answer. */
  answer(process: Process, id: bigint, allow: boolean, reason: string): void {
    const question = this.#open.get(id);
    if (!question) {
      const message = `question ${id} is answered, over, or was never there`;
      throw new ContixError("ENOENT", message, { argument: "id" });
    }
    if (!this.#mayAnswer(process, question)) {
      const message = `question ${id} is put to ${whoOf(question.rule)}`;
      throw new ContixError("EPERM", message, { argument: "id" });
    }
    if (reason.length > REASON) {
      const message = `a reason of ${reason.length} characters; at most ${REASON}`;
      throw new ContixError("E2BIG", message, { argument: "reason" });
    }
    question.forget();
    this.#record(process, "ask.answered", question, allow ? "ok" : "EPERM", reason);
    if (allow) question.allow();
    else question.refuse(no(question, reason === "" ? "was refused" : `was refused: ${reason}`));
  }

  /** The process is over: what was put to it alone is refused. */
  gone(pid: bigint): void {
    for (const question of [...this.#open.values()]) {
      if (question.rule.pid !== pid || pid === 0n) continue;
      this.#expire(question, "was refused: the process that was asked is over");
    }
  }

  async #askAll(call: Call, rules: readonly AskRule[]): Promise<void> {
    for (const rule of rules) {
      await this.#ask(call, rule);
      if (call.over) return;
    }
  }

  #ask(call: Call, rule: AskRule): Promise<void> {
    this.#checkRoom(call);
    if (rule.pid !== 0n) {
      const asked = this.#with.journal.state.processes.get(rule.pid);
      if (!asked || asked.exit) throw new ContixError("EPERM", "the process to be asked is over");
    }
    return new Promise((resolve, reject) => {
      const { clock } = this.#with;
      this.#last += 1n;
      const forget = (): void => {
        cancel();
        this.#open.delete(question.id);
      };
      const question: Question = {
        ...{ id: this.#last, call, rule, askedAt: clock.now() },
        ...{ allow: resolve, refuse: reject, forget },
      };
      const seconds = rule.timeoutUs / 1e6;
      const cancel = clock.after(rule.timeoutUs, () =>
        this.#expire(question, `was refused: nobody answered within ${seconds} s`),
      );
      // Whatever ends the call has answered its caller.
      call.onEnd(() => {
        if (!this.#open.has(question.id)) return;
        forget();
        this.#record(call.process, "ask.withdrawn", question, "ok", "");
        resolve();
      });
      this.#open.set(question.id, question);
      this.#record(call.process, "ask.asked", question, "ok", "");
      this.#tell();
    });
  }

  #checkRoom({ process }: Call): void {
    const { questions, questionsPerProcess } = this.#with.config.limits;
    const all = [...this.#open.values()];
    const own = all.filter(({ call }) => call.process.pid === process.pid).length;
    if (all.length < questions && own < questionsPerProcess) return;
    const message = `${own} calls of this process wait for an answer, ${all.length} in all; at most ${questionsPerProcess} and ${questions}`;
    throw new ContixError("EAGAIN", message, { retryAfterUs: AGAIN_US });
  }

  #expire(question: Question, why: string): void {
    question.forget();
    this.#record(question.call.process, "ask.expired", question, "EPERM", why);
    question.refuse(no(question, why));
  }

  /** Hands questions to those who wait for them. */
  #tell(): void {
    for (const watcher of [...this.#watchers]) {
      const found = this.list(watcher.process, watcher.after);
      if (found.length === 0) continue;
      this.#watchers.delete(watcher);
      watcher.found(found);
    }
  }

  #mayAnswer(process: Process, { rule, call }: Question): boolean {
    if (process.pid === call.process.pid) return false;
    if (rule.pid !== 0n && rule.pid === process.pid) return true;
    const { caps } = this.#with.journal.state;
    const now = this.#with.clock.now();
    return [...process.namespaces].some((id) => {
      const namespace = caps.get(id);
      return namespace !== undefined && !isExpired(namespace, now) && covers(namespace, rule);
    });
  }

  #record(
    who: Process,
    what: string,
    { id, call }: Question,
    result: "ok" | Errno,
    reason: string,
  ): void {
    this.#with.audit.record({
      at: this.#with.clock.wall(),
      ...{ principal: who.principal, pid: who.pid, run: who.run },
      seq: who.pid === call.process.pid ? call.syscall.seq : 0n,
      call: what,
      object: `question ${id} of ${showId(call.process.pid)}: ${call.row.name}${onWhat(call)}`,
      handle: 0,
      result,
      reason,
    });
  }
}

/** Only a namespace without a rule of its own is good for an answer: else one would ask oneself. */
function covers({ object, ask }: Capability, { principal }: AskRule): boolean {
  if (ask || object.type !== "principal") return false;
  return object.id === EVERYONE || (principal !== "" && object.id === principal);
}

function whoOf({ principal, pid }: AskRule): string {
  return pid === 0n ? `principal ${principal}` : showObject({ type: "process", id: pid });
}

function onWhat({ uses }: Call): string {
  const [use] = uses;
  return use ? ` on ${showObject(use.object)}` : "";
}

function no({ id, call }: Question, why: string): ContixError {
  return new ContixError("EPERM", `${call.row.name}${onWhat(call)} ${why} (question ${id})`);
}

function describe({ id, call, rule, askedAt }: Question, now: number): WireQuestion {
  const { process, row, syscall, uses } = call;
  return {
    id,
    pid: process.pid,
    process: process.name,
    principal: process.principal,
    call: row.name,
    object: uses[0] ? showObject(uses[0].object) : "",
    detail: detailOf(syscall.call?.value),
    ageUs: BigInt(now - askedAt),
    leftUs: BigInt(Math.max(0, askedAt + rule.timeoutUs - now)),
  };
}
