/** Agents that call, and what answers the bare calls beside them: each a process of its own. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { type Caller, type Order, Took, type WayName } from "../agents/words.js";
import type { EchoServer } from "../echo/settings.js";
import type { Daemon } from "../harness/daemon.js";
import { Forked } from "../harness/forked.js";

/** Starts what answers the bare calls. */
export function startEcho(settings: EchoServer): Promise<Forked> {
  return Forked.start("echo/server.js", settings);
}

/** A group of callers that work at the same time. */
export class Callers implements AsyncDisposable {
  readonly #programs: readonly Forked[];

  private constructor(programs: readonly Forked[]) {
    this.#programs = programs;
  }

  /** `echo` and `requestBytes`: of the bare calls, where there are any. */
  static async start(
    count: number,
    { home }: Daemon,
    ways: readonly WayName[],
    { echo = "", requestBytes = 0 } = {},
  ): Promise<Callers> {
    const token = (await readFile(join(home, "admin.token"), "utf8")).trim();
    const settings: Caller = { home, token, echo, requestBytes, ways: [...ways] };
    return new Callers(await Forked.group(count, "agents/caller.js", settings));
  }

  /** Tells all of them the same; the beginnings of paced calls are spread over the pace. */
  async run(order: Omit<Order, "afterMs">): Promise<Took[]> {
    const { everyMs } = order;
    const reports = this.#programs.map((program) => program.hear(600_000));
    this.#programs.forEach((program, i) => {
      program.tell({ ...order, afterMs: (everyMs * i) / this.#programs.length });
    });
    return z.array(Took).parse(await Promise.all(reports));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program[Symbol.asyncDispose]()));
  }
}
