/**
 * A bare echo over NATS, request and reply, on the nats-server that the kernel's own door uses:
 * both ends come in as the kernel does, so nobody asks the kernel about them.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { z } from "zod";
import type { Way } from "./way.js";

const SUBJECT = "bench.echo";
const Secrets = z.object({ agents: z.string() });

/** `home`: of a daemon with a private nats-server. */
export async function natsUrl(home: string): Promise<string> {
  return `nats://127.0.0.1:${(await readFile(join(home, "nats", "port"), "utf8")).trim()}`;
}

async function enter(home: string): Promise<NatsConnection> {
  const text = await readFile(join(home, "nats", "secrets.json"), "utf8");
  const { agents } = Secrets.parse(JSON.parse(text));
  const servers = await natsUrl(home);
  return connect({ servers, user: "contix-agents", pass: agents, reconnect: false });
}

/** Answers every request with `bytes` bytes. */
export async function serveNatsEcho(home: string, bytes: number): Promise<void> {
  const reply = Buffer.alloc(bytes, "e");
  const nc = await enter(home);
  nc.subscribe(SUBJECT, { callback: (_, message) => void message.respond(reply) });
  await nc.flush();
}

/** A client of it. */
export async function natsEcho(home: string, bytes: number): Promise<Way> {
  const message = Buffer.alloc(bytes, "c");
  const nc = await enter(home);
  return {
    async call() {
      await nc.request(SUBJECT, message, { timeout: 10_000 });
    },
    close: () => nc.close(),
  };
}
