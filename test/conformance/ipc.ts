/** What every bus between kernels does, whatever carries it: see kernel/ipc/bus.ts. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Bus, BusMessage, BusSubscription } from "../../kernel/ipc/bus.js";
import { ContixError } from "../../proto/errno.js";

/** A line, as many buses on it as a test wants, and the power to cut it. */
export interface BusWorld {
  join(id: string): Promise<Bus>;
  /** Resolves when all buses know that the line is cut. */
  cut(): Promise<void>;
  /** Resolves when all buses are up again. */
  mend(): Promise<void>;
  close(): Promise<void>;
}

const text = (message: BusMessage | undefined): string =>
  message ? `${message.subject} ${Buffer.from(message.body).toString()}` : "nothing";
const bytes = (body: string): Uint8Array => Buffer.from(body);

/** Reads a subscription step by step. */
function reader(subscription: BusSubscription) {
  const iterator = subscription[Symbol.asyncIterator]();
  const next = async (): Promise<BusMessage | undefined> => {
    const { done, value } = await iterator.next();
    return done ? undefined : value;
  };
  const take = async (n: number): Promise<string[]> => {
    const out: string[] = [];
    for (let i = 0; i < n; i++) out.push(text(await next()));
    return out;
  };
  return { next, take };
}

const codeOf = async (what: () => unknown): Promise<string> => {
  try {
    await what();
    return "nothing thrown";
  } catch (error) {
    return error instanceof ContixError ? error.code : String(error);
  }
};

/** `everybody`: resolves when what each bus did before is in effect for all. */
const everybody = async (...buses: Bus[]): Promise<void> => {
  for (const bus of buses) await bus.flush();
};

export function busConformance(name: string, make: () => Promise<BusWorld>): void {
  describe(`a bus ${name}`, () => {
    let world: BusWorld;
    let a: Bus;
    let b: Bus;
    let c: Bus;
    beforeAll(async () => {
      world = await make();
      [a, b, c] = [await world.join("a"), await world.join("b"), await world.join("c")];
    });
    afterAll(() => world.close());

    it("carries a publication to all others that subscribe, not to who made it", async () => {
      const subscriptions = [a, b, c].map((bus) => bus.subscribe("all.of"));
      await everybody(a, b, c);
      a.publish("all.of", bytes("from a"));
      b.publish("all.of", bytes("from b"));
      const [ofA, ofB, ofC] = subscriptions.map(reader);
      expect(await ofA?.take(1)).toEqual(["all.of from b"]);
      expect(await ofB?.take(1)).toEqual(["all.of from a"]);
      expect((await ofC?.take(2))?.sort()).toEqual(["all.of from a", "all.of from b"]);
      for (const subscription of subscriptions) subscription.close();
    });

    it.each([
      ["w.x", ["w.x"]],
      ["w.*", ["w.x", "w.y"]],
      ["w.>", ["w.x", "w.y", "w.y.z"]],
      ["*.y.*", ["w.y.z", "v.y.z"]],
      ["*.*", ["w.x", "w.y"]],
    ])("takes to %s what fits it", async (pattern, fits) => {
      const subscription = b.subscribe(pattern);
      await everybody(b);
      for (const subject of ["w", "w.x", "w.y", "w.y.z", "v.y.z", "w.y.z.a.b"]) {
        const wanted = fits.includes(subject) || (pattern === "w.>" && subject.startsWith("w."));
        a.publish(subject, bytes(wanted ? "yes" : "no"));
      }
      a.publish(fits[0] ?? "", bytes("end"));
      const got: string[] = [];
      const { next } = reader(subscription);
      for (let line = text(await next()); !line.endsWith(" end"); line = text(await next())) {
        got.push(line);
      }
      const more = pattern === "w.>" ? ["w.y.z.a.b yes"] : [];
      expect(got).toEqual([...fits.map((subject) => `${subject} yes`), ...more]);
      subscription.close();
    });

    it("keeps the order of a publisher, over all its subjects", async () => {
      const subscription = b.subscribe("order.>");
      await everybody(b);
      const sent = Array.from({ length: 500 }, (_, i) => `order.${i % 7} ${i}`);
      for (const line of sent) {
        const [subject = "", body = ""] = line.split(" ");
        a.publish(subject, bytes(body));
      }
      expect(await reader(subscription).take(500)).toEqual(sent);
      subscription.close();
    });

    it("carries bytes as they are, empty ones too", async () => {
      const subscription = b.subscribe("bytes");
      await everybody(b);
      const all = Uint8Array.from({ length: 256 }, (_, i) => i);
      a.publish("bytes", all);
      a.publish("bytes", new Uint8Array());
      const { next } = reader(subscription);
      expect([...((await next())?.body ?? [])]).toEqual([...all]);
      expect((await next())?.body).toHaveLength(0);
      subscription.close();
    });

    it("bounds a queue nobody reads, and counts what was left out", async () => {
      const slow = b.subscribe("flood", { messages: 10, bytes: 1000 });
      const quick = b.subscribe("flood");
      await everybody(b);
      for (let i = 0; i < 50; i++) a.publish("flood", bytes(String(i)));
      // When the other has them all, this one has seen them too.
      expect(await reader(quick).take(50)).toHaveLength(50);
      const { next, take } = reader(slow);
      const first = Array.from({ length: 10 }, (_, i) => `flood ${i}`);
      expect(await take(10)).toEqual(first);
      a.publish("flood", bytes("later"));
      const later = await next();
      expect([text(later), later?.missed, later?.lapsed]).toEqual(["flood later", 40, false]);
      slow.close();
      quick.close();
    });

    it("bounds a queue in bytes; one message always fits", async () => {
      const slow = b.subscribe("heavy", { messages: 100, bytes: 10 });
      const quick = b.subscribe("heavy");
      await everybody(b);
      for (const body of ["a".repeat(50), "b", "c"]) a.publish("heavy", bytes(body));
      await reader(quick).take(3);
      const { next } = reader(slow);
      expect((await next())?.body).toHaveLength(50);
      a.publish("heavy", bytes("d"));
      expect((await next())?.missed).toBe(2);
      slow.close();
      quick.close();
    });

    it("ends a subscription that is closed, and sends it nothing more", async () => {
      const subscription = b.subscribe("closing");
      await everybody(b);
      const waiting = reader(subscription).next();
      subscription.close();
      subscription.close();
      expect(await waiting).toBeUndefined();
      a.publish("closing", bytes("late"));
      expect(await reader(subscription).next()).toBeUndefined();
    });

    it("refuses what is too long", async () => {
      const body = new Uint8Array(a.maxBytes + 1);
      expect(await codeOf(() => a.publish("long", body))).toBe("EMSGSIZE");
      expect(await codeOf(() => a.request("long", body, 1_000_000))).toBe("EMSGSIZE");
      const subscription = b.subscribe("long");
      await everybody(b);
      a.publish("long", body.subarray(1));
      expect((await reader(subscription).next())?.body).toHaveLength(a.maxBytes);
      subscription.close();
    });

    it("brings a request its reply", async () => {
      const stop = b.serve("echo", async (body) => Buffer.concat([body, body]));
      await everybody(b);
      const replies = await Promise.all(
        ["x", "", "long".repeat(1000)].map((body) => a.request("echo", bytes(body), 10_000_000)),
      );
      const shown = replies.map((reply) => Buffer.from(reply).toString());
      expect(shown).toEqual(["xx", "", "long".repeat(2000)]);
      stop();
      await everybody(b);
      expect(await codeOf(() => a.request("echo", bytes("x"), 10_000_000))).toBe("ESRCH");
    });

    it("brings a request the error of who answers, and only its name of a fault", async () => {
      const stop = b.serve("no", async (body) => {
        if (body.length === 0) throw new Error("a secret of the inside");
        throw new ContixError("EDQUOT", "no more today", { argument: "body" });
      });
      await everybody(b);
      const refused = a.request("no", bytes("x"), 10_000_000);
      await expect(refused).rejects.toMatchObject({ code: "EDQUOT", argument: "body" });
      await expect(a.request("no", bytes(""), 10_000_000)).rejects.not.toThrow(/secret/);
      stop();
    });

    it("gives a request up when its time is over", async () => {
      const stop = b.serve("never", () => new Promise<Uint8Array>(() => {}));
      await everybody(b);
      expect(await codeOf(() => a.request("never", bytes(""), 20_000))).toBe("ETIMEDOUT");
      stop();
    });

    it("refuses while the line is cut, and has all subscriptions when it is back", async () => {
      const subscription = b.subscribe("cut.*");
      const stop = b.serve("back", async () => bytes("here"));
      await everybody(a, b, c);
      a.publish("cut.before", bytes("1"));
      const { next } = reader(subscription);
      expect((await next())?.lapsed).toBe(false);
      await world.cut();
      expect([a.up, b.up]).toEqual([false, false]);
      expect(await codeOf(() => a.publish("cut.now", bytes("2")))).toBe("EAGAIN");
      expect(await codeOf(() => a.request("back", bytes(""), 1_000_000))).toBe("EAGAIN");
      expect(await codeOf(() => a.flush())).toBe("EAGAIN");
      const during = b.subscribe("fresh");
      await world.mend();
      await everybody(a, b, c);
      expect([a.up, b.up]).toEqual([true, true]);
      a.publish("cut.after", bytes("3"));
      a.publish("cut.after", bytes("4"));
      a.publish("fresh", bytes("5"));
      const back = await next();
      expect([text(back), back?.lapsed]).toEqual(["cut.after 3", true]);
      expect((await next())?.lapsed).toBe(false);
      expect(text(await reader(during).next())).toBe("fresh 5");
      expect(Buffer.from(await a.request("back", bytes(""), 10_000_000)).toString()).toBe("here");
      stop();
      subscription.close();
      during.close();
    });

    it("that is closed ends its subscriptions and says no to all", async () => {
      const d = await world.join("d");
      const ended = reader(d.subscribe("x")).next();
      await d.close();
      await d.close();
      expect(await ended).toBeUndefined();
      expect(d.up).toBe(false);
      expect(await codeOf(() => d.publish("x", bytes("")))).toBe("EAGAIN");
    });
  });
}
