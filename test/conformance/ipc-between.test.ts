/** The suite of messages with the callers on one kernel and the objects on another. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { ensureNatsServer } from "../../cli/nats/find.js";
import { systemClock } from "../../kernel/clock.js";
import { MemoryLine } from "../../kernel/ipc/bus-memory.js";
import { natsBus } from "../../kernel/ipc/bus-nats.js";
import { silentLog } from "../../kernel/log.js";
import { type NatsServer, startNatsServer } from "../../kernel/nats/server.js";
import { IpcPair, type JoinBus } from "../support/ipc-pair.js";
import { mailConformance } from "./ipc-mail.js";
import { syncConformance } from "./ipc-sync.js";

/** A pair that ends with its test. */
async function pairOn(join: JoinBus): Promise<IpcPair> {
  const pair = await IpcPair.make(join);
  onTestFinished(() => pair.close());
  return pair;
}

const inMemory = (): Promise<IpcPair> => {
  const line = new MemoryLine(systemClock);
  return pairOn(async () => line.join());
};
mailConformance("between kernels, in memory", inMemory);
syncConformance("between kernels, in memory", inMemory);

const directory = mkdtempSync(join(tmpdir(), "contix-between-"));
let server: NatsServer;
const connections = new Map<string, NatsConnection>();
let pairs = 0;
beforeAll(async () => {
  const binary = await ensureNatsServer();
  const given = { directory, settings: "", clock: systemClock, log: silentLog };
  server = await startNatsServer({ binary, ...given });
});
afterAll(async () => {
  for (const connection of connections.values()) await connection.close();
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A line to the one server for each of the two, and subjects of its own for each test. */
const overNats = async (): Promise<IpcPair> => {
  const prefix = `t${++pairs}`;
  const pair = await pairOn(async (id) => {
    const known = connections.get(id) ?? (await connect({ servers: server.url }));
    connections.set(id, known);
    return natsBus(known, { id, prefix });
  });
  return pair;
};
mailConformance("between kernels, over NATS", overNats);
syncConformance("between kernels, over NATS", overNats);
