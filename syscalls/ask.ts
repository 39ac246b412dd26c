/** `os.cap.ask`: calls that wait until somebody has said yes, for who may say so. */
import type { Question as WireQuestion } from "../proto/gen/contix/v1/ask.js";
import { checkText, checkUint64 } from "./check.js";
import { type Pid, showId } from "./ids.js";
import { type CallOptions, request } from "./invoke.js";
import { toMs } from "./usage.js";
import type { Session } from "./wire/session.js";

/** A call that waits for an answer. */
export interface Question {
  readonly id: bigint;
  /** Who wants to make it. */
  readonly pid: Pid;
  readonly process: string;
  readonly principal: string;
  /** Such as "proc.kill". */
  readonly call: string;
  /** What it is on, such as "process n1.7"; "" when on nothing. */
  readonly object: string;
  /** Its arguments, as JSON; long ones are cut. */
  readonly detail: string;
  readonly ageMs: number;
  /** Until the answer is no. */
  readonly leftMs: number;
}

export class Asking {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** The open questions that this process may answer, the oldest first. */
  list(options?: CallOptions): Promise<Question[]> {
    return this.#questions(0n, false, options);
  }

  /**
   * Each question as it comes, those that are open first; ends with `signal`.
   *
   * @example
   * for await (const question of os.cap.ask.questions()) {
   *   if (question.call === "ipc.send") await os.cap.ask.allow(question.id);
   *   else await os.cap.ask.deny(question.id, "not today");
   * }
   */
  async *questions(options?: CallOptions): AsyncGenerator<Question> {
    for (let after = 0n; ; ) {
      for (const question of await this.#questions(after, true, options)) {
        after = question.id;
        yield question;
      }
    }
  }

  /** Lets the call go on. ENOENT: it waits no more. EPERM: it is not this process's to say. */
  allow(id: bigint | number | string, options?: CallOptions): Promise<void> {
    return this.#answer(id, true, "", options);
  }

  /** Refuses it; its caller gets EPERM with the reason. */
  deny(id: bigint | number | string, reason = "", options?: CallOptions): Promise<void> {
    return this.#answer(id, false, checkText("reason", reason), options);
  }

  async #questions(after: bigint, wait: boolean, options?: CallOptions): Promise<Question[]> {
    const args = { after, wait };
    const { questions } = await request(this.#session, { name: "askList", args }, options);
    return questions.map(toQuestion);
  }

  async #answer(
    id: bigint | number | string,
    allow: boolean,
    reason: string,
    options?: CallOptions,
  ): Promise<void> {
    const args = { id: checkUint64("id", id), allow, reason };
    await request(this.#session, { name: "askAnswer", args }, options);
  }
}

function toQuestion({ pid, ageUs, leftUs, ...question }: WireQuestion): Question {
  return { ...question, pid: showId(pid), ageMs: toMs(ageUs), leftMs: toMs(leftUs) };
}
