/** Messages of several agents into one mailbox, and calls beside them: what goes on while a line does not. */
import { expect, onTestFinished } from "vitest";
import type { Os } from "../../syscalls/index.js";
import { until } from "./kernels.js";

export class Traffic {
  /** Calls that the local process has made. */
  localCalls = 0;
  readonly #agents: readonly Os[];
  readonly #pids: readonly string[];
  readonly #local: Os;
  /** Of each agent: messages that the kernel has taken, and that were read. */
  readonly #acknowledged: number[];
  readonly #read: number[];
  readonly #work: readonly Promise<void>[];
  readonly #reading: Promise<void>;
  #going = true;

  /** Each of `agents` sends as fast as it is acknowledged; `local` reads, and calls. */
  constructor(local: Os, agents: readonly Os[]) {
    this.#local = local;
    this.#agents = agents;
    this.#pids = agents.map(({ pid }) => pid);
    this.#acknowledged = agents.map(() => 0);
    this.#read = agents.map(() => 0);
    this.#reading = this.#readAll();
    this.#work = [...agents.map((os, i) => this.#send(os, i)), this.#call()];
    // Whoever fails in between must not leave them running.
    onTestFinished(() => {
      this.#going = false;
    });
  }

  /** Resolves when each agent has had so many more messages acknowledged. */
  async progress(more: number): Promise<void> {
    const before = [...this.#acknowledged];
    await until(() => this.#acknowledged.every((n, i) => n >= (before[i] ?? 0) + more));
  }

  /** Resolves when so many more local calls were made. */
  async localProgress(more = 200): Promise<void> {
    const before = this.localCalls;
    await until(() => this.localCalls > before + more);
  }

  /** Ends it: what was acknowledged was read, once and in order, and the agents are who they were. */
  async end(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#work);
    const box = await this.#local.ipc.mailbox("done");
    await box.send("end");
    await this.#reading;
    expect(this.#read).toEqual(this.#acknowledged);
    expect(this.#agents.map(({ pid }) => pid)).toEqual(this.#pids);
  }

  async #send(os: Os, i: number): Promise<void> {
    const box = await os.ipc.mailbox("done");
    while (this.#going) {
      const n = this.#acknowledged[i] ?? 0;
      await box.send(`${i} ${n}`);
      this.#acknowledged[i] = n + 1;
    }
  }

  async #call(): Promise<void> {
    for (; this.#going; this.localCalls++) await this.#local.sys.uname();
  }

  async #readAll(): Promise<void> {
    const box = await this.#local.ipc.mailbox("done");
    for (let text = (await box.recv()).text; text !== "end"; text = (await box.recv()).text) {
      const [i = 0, n] = text.split(" ").map(Number);
      expect(n).toBe(this.#read[i]);
      this.#read[i] = (this.#read[i] ?? 0) + 1;
    }
  }
}
