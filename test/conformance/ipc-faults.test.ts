/**
 * Messages between two kernels over a bus that loses, doubles and delays: nothing is lost,
 * nothing is doubled, and each sender's messages come in their order.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { systemClock } from "../../kernel/clock.js";
import { MemoryLine } from "../../kernel/ipc/bus-memory.js";
import { FaultyBus, numbers } from "../support/faulty-bus.js";
import { IpcPair } from "../support/ipc-pair.js";
import { bytes } from "../support/ipc-world.js";

const EACH = 8;
/** So that most messages are longer than what the bus takes at once. */
const LARGEST = 200;

interface World {
  readonly pair: IpcPair;
  readonly buses: readonly FaultyBus[];
  readonly random: () => number;
}

async function world(seed: number): Promise<World> {
  const random = numbers(seed);
  const line = new MemoryLine(systemClock, LARGEST);
  const buses: FaultyBus[] = [];
  const pair = await IpcPair.make(async () => {
    const bus = new FaultyBus(line.join(), random);
    bus.faulty = false;
    buses.push(bus);
    return bus;
  });
  for (const bus of buses) bus.faulty = true;
  return { pair, buses, random };
}

/** Lets time pass until all of it is over. */
async function during<T>({ pair, buses }: World, work: Promise<T>): Promise<T> {
  let over = false;
  const note = (): void => {
    over = true;
  };
  work.then(note, note);
  for (let round = 0; !over; round++) {
    if (round > 2000) throw new Error("it does not end");
    await pair.pass(100_000);
    for (const bus of buses) bus.release();
  }
  return work;
}

/** Sends numbered messages, one after the other. */
async function sending({ pair }: World, name: string): Promise<void> {
  const pid = pair.agent();
  const box = await pair.open(pid, "mailbox", "jobs");
  for (let i = 0; i < EACH; i++) {
    await pair.ask(pid, "send", { body: Buffer.alloc(300, `${name}${i} `) }, box);
  }
}

/** Receives until it has all, and gives up waiting now and then. */
async function receiving({ pair, random }: World, total: number): Promise<string[]> {
  const pid = pair.agent();
  const box = await pair.open(pid, "mailbox", "jobs");
  const got: string[] = [];
  while (got.length < total) {
    const mail = pair.ask(pid, "recv", {}, box);
    if (random() < 0.4) void pair.cancelAll(pid);
    try {
      const [first = ""] = (await mail).body.toString().split(" ");
      got.push(first);
    } catch (error) {
      if (!/^Error: ECANCELED/.test(String(error))) throw error;
    }
  }
  return got;
}

it("mail over a bad line comes once, and in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const w = await world(seed);
      const names = ["a", "b", "c"];
      const receiver = receiving(w, names.length * EACH);
      const all = Promise.all([receiver, ...names.map((name) => sending(w, name))]);
      const [got] = await during(w, all);
      for (const name of names) {
        const wanted = Array.from({ length: EACH }, (_, i) => `${name}${i}`);
        expect(got.filter((each) => each.startsWith(name))).toEqual(wanted);
      }
      const jobs = [...w.pair.state.ipc.objects.values()].find(({ name }) => name === "jobs");
      expect(jobs?.type === "mailbox" && jobs.box.mails.length).toBe(0);
      w.pair.close();
    }),
    { numRuns: 12 },
  );
});

it("a pipe over a bad line is read as it was written, and a lock has one holder", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const w = await world(seed);
      const { pair } = w;
      let holders = 0;
      let count = 0;
      const locking = async (): Promise<void> => {
        const pid = pair.agent();
        const lock = await pair.open(pid, "lock", "one");
        for (let i = 0; i < 3; i++) {
          const { token } = await pair.ask(pid, "lock", {}, lock);
          holders++;
          expect(holders).toBe(1);
          count++;
          const go = await pair.open(pid, "pipe", "go", { end: "read" });
          await pair.ask(pid, "pipeRead", { max: 1 }, go);
          holders--;
          await pair.ask(pid, "unlock", { token }, lock);
        }
      };
      const feeding = async (): Promise<void> => {
        const pid = pair.agent();
        const go = await pair.open(pid, "pipe", "go", { end: "write" });
        for (let i = 0; i < 6; i++) {
          await pair.ask(pid, "pipeWrite", { data: bytes("x") }, go);
          while (count <= i) await pair.quiet();
        }
      };
      await during(w, Promise.all([locking(), locking(), feeding()]));
      expect(count).toBe(6);
      pair.close();
    }),
    { numRuns: 6 },
  );
});
