/** What topics do on one kernel, and between kernels whatever the bus: one suite for all. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Bus } from "../../kernel/ipc/bus.js";
import { bytes, IpcWorld } from "../support/ipc-world.js";
import { until } from "../support/kernels.js";

export interface TopicWorld {
  /** A bus for a kernel; undefined: there is but one kernel, and publisher and subscriber share it. */
  join(id: string): Promise<Bus | undefined>;
  close(): Promise<void>;
}

export function topicConformance(name: string, make: () => Promise<TopicWorld>): void {
  describe(`topics ${name}`, () => {
    let world: TopicWorld;
    /** Where it is published, and where it is subscribed to. */
    let here: IpcWorld;
    let there: IpcWorld;
    let buses: Bus[] = [];
    beforeAll(async () => {
      world = await make();
      here = new IpcWorld();
      const [one, two] = [await world.join("one"), await world.join("two")];
      there = one && two ? new IpcWorld() : here;
      buses = one && two ? [one, two] : [];
      if (one) here.kernel.ipc.topics.connect(one);
      if (two) there.kernel.ipc.topics.connect(two);
    });
    afterAll(() => world.close());
    const inEffect = async (): Promise<void> => {
      for (const bus of buses) await bus.flush();
    };

    it("reach the subscriptions that fit, of the same principal only, in order", async () => {
      const [pub, sub, other] = [here.agent(), there.agent(), there.agent("bob")];
      const all = await there.ask(sub, "subscribe", { pattern: "a.>" });
      const one = await there.ask(sub, "subscribe", { pattern: "a.*" });
      const bobs = await there.ask(other, "subscribe", { pattern: ">" });
      await inEffect();
      for (const subject of ["a.b", "a.b.c", "b", "a.c"]) {
        await here.ask(pub, "publish", { subject, body: bytes(subject) });
      }
      const take = async (handle: number, n: number): Promise<string[]> => {
        const got: string[] = [];
        for (let i = 0; i < n; i++) got.push((await there.ask(sub, "recv", {}, handle)).topic);
        return got;
      };
      expect(await take(all.handle, 3)).toEqual(["a.b", "a.b.c", "a.c"]);
      expect(await take(one.handle, 2)).toEqual(["a.b", "a.c"]);
      expect(await there.settled(there.ask(other, "recv", {}, bobs.handle))).toBe(false);
      there.end(sub);
    });

    it("tell a slow subscriber how many it missed", async () => {
      const [pub, sub] = [here.agent(), there.agent()];
      const { handle } = await there.ask(sub, "subscribe", { pattern: "slow", messages: 2 });
      const quick = await there.ask(sub, "subscribe", { pattern: "slow.>" });
      await inEffect();
      for (let i = 0; i < 5; i++)
        await here.ask(pub, "publish", { subject: "slow", body: bytes(`${i}`) });
      await here.ask(pub, "publish", { subject: "slow.end" });
      await there.ask(sub, "recv", {}, quick.handle);
      const box = () =>
        [...there.state.ipc.objects.values()].find(
          (o) => o.type === "mailbox" && o.subscription?.pattern === "slow",
        );
      await until(() => {
        const object = box();
        return object?.type === "mailbox" && object.box.missed === 3;
      });
      for (const text of ["0", "1"]) {
        expect((await there.ask(sub, "recv", {}, handle)).body.toString()).toBe(text);
      }
      const next = there.ask(sub, "recv", {}, handle);
      await here.ask(pub, "publish", { subject: "slow", body: bytes("5") });
      expect(await next).toMatchObject({ body: bytes("5"), missed: 3 });
      there.end(sub);
    });

    it("carry bytes as they are, and say who published", async () => {
      const [pub, sub] = [here.agent(), there.agent()];
      const { handle } = await there.ask(sub, "subscribe", { pattern: "bytes" });
      await inEffect();
      const body = Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i));
      await here.ask(pub, "publish", { subject: "bytes", body });
      expect(await there.ask(sub, "recv", {}, handle)).toMatchObject({ body, from: pub });
      there.end(sub);
    });

    it("that nobody subscribes to any more cost nothing", async () => {
      const sub = there.agent();
      await there.ask(sub, "subscribe", { pattern: "gone" });
      there.end(sub);
      expect([...(there.state.ipc.subscriptions.get("alice")?.keys() ?? [])]).toEqual([]);
    });
  });
}
