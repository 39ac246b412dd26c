/**
 * The server's connections, by the system account: who is there, and how to cut one.
 * Where the kernel was given no system account there is neither, and users that live for
 * minutes stand in for it.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { z } from "zod";
import type { Log } from "../log.js";
import { AGENTS } from "./accounts.js";

/** The server's name for a connection. */
export interface Connection {
  readonly server: string;
  readonly id: number;
}

/** Connections that a server tells of at once. */
const PAGE = 1024;
/** How long the servers of a cluster are listened to, milliseconds. */
const LISTEN_MS = 500;

const Page = z.object({
  server: z.object({ id: z.string() }),
  data: z.object({
    total: z.number(),
    connections: z
      .array(z.object({ cid: z.number(), authorized_user: z.string().default("") }))
      .nullish(),
  }),
});

export class Connections {
  readonly #system: NatsConnection | undefined;
  readonly #log: Log;

  constructor(system: NatsConnection | undefined, log: Log) {
    this.#system = system;
    this.#log = log;
  }

  async kick({ server, id }: Connection): Promise<void> {
    const subject = `$SYS.REQ.SERVER.${server}.KICK`;
    try {
      await this.#system?.request(subject, JSON.stringify({ cid: id }));
    } catch (error) {
      this.#log.debug({ err: error }, "kick");
    }
  }

  /** Cuts the agents' connections that `ours` says are, by their user names. @returns how many */
  async sweep(ours: (user: string) => boolean): Promise<number> {
    let cut = 0;
    for (let offset = 0, more = true; more; offset += PAGE) {
      more = false;
      for (const { server, data } of await this.#page(offset)) {
        more ||= data.total > offset + PAGE;
        for (const { cid, authorized_user } of data.connections ?? []) {
          if (!ours(authorized_user)) continue;
          cut++;
          await this.kick({ server: server.id, id: cid });
        }
      }
    }
    return cut;
  }

  /** Those that each server has from `offset` on. */
  async #page(offset: number): Promise<z.infer<typeof Page>[]> {
    if (!this.#system) return [];
    const wanted = JSON.stringify({ auth: true, acc: AGENTS, sort: "cid", limit: PAGE, offset });
    const options = { maxWait: LISTEN_MS, strategy: "timer" as const };
    const pages: z.infer<typeof Page>[] = [];
    const answers = await this.#system.requestMany("$SYS.REQ.SERVER.PING.CONNZ", wanted, options);
    for await (const answer of answers) {
      if (answer instanceof Error) break;
      const page = Page.safeParse(answer.json());
      if (page.success) pages.push(page.data);
    }
    return pages;
  }
}
