/** The conformance suite of buses over both, and what only the one over NATS can meet. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { ensureNatsServer } from "../../cli/nats/find.js";
import { systemClock } from "../../kernel/clock.js";
import type { Bus } from "../../kernel/ipc/bus.js";
import { MemoryLine } from "../../kernel/ipc/bus-memory.js";
import { natsBus } from "../../kernel/ipc/bus-nats.js";
import { silentLog } from "../../kernel/log.js";
import { startNatsServer } from "../../kernel/nats/server.js";
import { ContixError } from "../../proto/errno.js";
import { bytes, IpcWorld } from "../support/ipc-world.js";
import { until } from "../support/kernels.js";
import { type BusWorld, busConformance } from "./ipc.js";
import { topicConformance } from "./ipc-topics.js";

busConformance("in memory", async () => {
  const line = new MemoryLine(systemClock, 100_000);
  return {
    join: async () => line.join(),
    cut: async () => line.cut(),
    mend: async () => line.mend(),
    close: async () => {},
  };
});

interface NatsWorld extends BusWorld {
  /** Stops the server's process, and lets it go on. */
  freeze(): void;
  thaw(): void;
}

async function natsWorld(): Promise<NatsWorld> {
  const directory = mkdtempSync(join(tmpdir(), "contix-bus-"));
  const options = {
    binary: await ensureNatsServer(),
    directory,
    settings: "max_payload: 100001\n",
    clock: systemClock,
    log: silentLog,
  };
  let server = await startNatsServer(options);
  const { url, port } = server;
  const connections: NatsConnection[] = [];
  const buses: Bus[] = [];
  return {
    async join(id) {
      const connection = await connect({
        servers: url,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 20,
        reconnectJitter: 0,
      });
      connections.push(connection);
      const bus = natsBus(connection, { id });
      buses.push(bus);
      return bus;
    },
    async cut() {
      await server.stop();
      await until(() => buses.every((bus) => !bus.up));
    },
    async mend() {
      server = await startNatsServer({ ...options, port });
      await until(() => buses.every((bus) => bus.up));
    },
    freeze: () => void process.kill(server.osPid, "SIGSTOP"),
    thaw: () => void process.kill(server.osPid, "SIGCONT"),
    async close() {
      await Promise.all(connections.map((connection) => connection.close()));
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

busConformance("over NATS", natsWorld);

describe("a NATS server that is slow", () => {
  it("holds up nobody: what is under way is bounded, then EAGAIN, and all of it arrives", async () => {
    const world = await natsWorld();
    const [a, b] = [await world.join("a"), await world.join("b")];
    const subscription = b.subscribe("slow", { messages: 1000, bytes: 64 << 20 });
    await b.flush();
    const body = new Uint8Array(100_000);
    world.freeze();
    let sent = 0;
    const refused = (() => {
      try {
        for (; sent < 1000; sent++) a.publish("slow", body);
      } catch (error) {
        return error;
      }
      return undefined;
    })();
    expect(refused).toBeInstanceOf(ContixError);
    expect(refused).toMatchObject({ code: "EAGAIN", retryable: true });
    expect(sent).toBeGreaterThan(100);
    world.thaw();
    let got = 0;
    for await (const { missed, lapsed } of subscription) {
      expect([missed, lapsed]).toEqual([0, false]);
      if (++got === sent) break;
    }
    await a.flush();
    a.publish("slow", body);
    await world.close();
  });
});

topicConformance("on one kernel", async () => ({
  join: async () => undefined,
  close: async () => {},
}));

topicConformance("between kernels, in memory", async () => {
  const line = new MemoryLine(systemClock);
  return { join: async () => line.join(), close: async () => {} };
});

topicConformance("between kernels, over NATS", natsWorld);

describe("topics while the line is cut", () => {
  it("go on here; who must reach all is told to come back; who comes back hears of the gap", async () => {
    const line = new MemoryLine(systemClock);
    const [here, there] = [new IpcWorld(), new IpcWorld()];
    for (const each of [here, there]) each.kernel.ipc.topics.connect(line.join());
    const [pub, sub, near] = [here.agent(), there.agent(), here.agent()];
    const { handle } = await there.ask(sub, "subscribe", { pattern: "t" });
    const own = await here.ask(near, "subscribe", { pattern: "t" });
    line.cut();
    expect(await here.ask(pub, "publish", { subject: "t" })).toMatchObject({
      delivered: 1,
      sent: false,
    });
    const all = here.ask(pub, "publish", { subject: "t", scope: "all" });
    await expect(all).rejects.toThrow(/^EAGAIN/);
    expect((await here.ask(near, "recv", {}, own.handle)).lapsed).toBe(false);
    expect(await here.settled(here.ask(near, "recv", {}, own.handle))).toBe(false);
    line.mend();
    expect(await here.ask(pub, "publish", { subject: "t", scope: "all" })).toMatchObject({
      sent: true,
    });
    expect((await there.ask(sub, "recv", {}, handle)).lapsed).toBe(true);
  });

  it("that a subscriber refuses when it is full are EAGAIN, and nobody gets them", async () => {
    const w = new IpcWorld();
    const [pub, sub] = [w.agent(), w.agent()];
    const picky = await w.ask(sub, "subscribe", { pattern: "t", messages: 1, slow: "refuse" });
    const other = await w.ask(sub, "subscribe", { pattern: "t" });
    await w.ask(pub, "publish", { subject: "t" });
    await expect(w.ask(pub, "publish", { subject: "t" })).rejects.toThrow(/^EAGAIN/);
    await w.ask(sub, "recv", {}, picky.handle);
    await w.ask(pub, "publish", { subject: "t" });
    const ref = w.state.ipc.objects.get(other.id);
    expect(ref?.type === "mailbox" && ref.box.mails.length).toBe(2);
  });

  it("by a handle stay within its topic", async () => {
    const w = new IpcWorld();
    const [a, b] = [w.agent(), w.process({ gifts: [] })];
    const topic = await w.open(a, "topic", "news.>");
    await w.ask(a, "capGrant", { pid: b, rights: 1 }, topic);
    const [handle = 0] = [...(w.state.processes.get(b)?.handles.keys() ?? [])];
    await expect(w.ask(b, "subscribe", { pattern: "news.*" })).rejects.toThrow(/^EPERM/);
    await expect(w.ask(b, "subscribe", { pattern: ">" }, handle)).rejects.toThrow(/^EPERM/);
    await expect(w.ask(b, "publish", { subject: "news.a" }, handle)).rejects.toThrow(/^EPERM/);
    const sub = await w.ask(b, "subscribe", { pattern: "news.*" }, handle);
    await w.ask(a, "publish", { subject: "news.a", body: bytes("x") }, topic);
    expect((await w.ask(b, "recv", {}, sub.handle)).topic).toBe("news.a");
  });
});
