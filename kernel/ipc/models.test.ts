/** Mailboxes and locks against models of them, under random operations and deaths. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { bytes, IpcWorld } from "../../test/support/ipc-world.js";

const LEASE = 1000;

it("every message is acknowledged once, or is still there, or is a dead letter: none is lost or doubled", async () => {
  const op = fc.record({
    what: fc.constantFrom("send", "take", "ack", "nack", "pass", "die"),
    who: fc.nat(2),
    priority: fc.nat(2),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(op, { maxLength: 50, size: "max" }), async (ops) => {
      const w = new IpcWorld();
      const workers: { pid: bigint; handle: number }[] = [];
      const born = async (i: number): Promise<void> => {
        const pid = w.agent();
        const mailbox = { maxDeliveries: 3, deadLetters: "dead" };
        workers[i] = { pid, handle: await w.open(pid, "mailbox", "jobs", { mailbox }) };
      };
      for (let i = 0; i < 3; i++) await born(i);
      const root = workers[0]?.pid ?? 0n;
      // The model: who has what, until when, and how often it was delivered.
      const model = new Map<
        bigint,
        { deliveries: number; by?: bigint; until: number; priority: number }
      >();
      const acked = new Set<bigint>();
      const dead = new Set<bigint>();
      const release = (id: bigint): void => {
        const job = model.get(id);
        if (!job) return;
        delete job.by;
        if (job.deliveries < 3) return;
        model.delete(id);
        dead.add(id);
      };
      for (const { what, who, priority } of ops) {
        const worker = workers[who];
        if (!worker) continue;
        const { pid, handle } = worker;
        const mine = [...model].find(([, job]) => job.by === pid);
        if (what === "send") {
          const { id } = await w.ask(pid, "send", { body: bytes("job"), priority }, handle);
          model.set(id, { deliveries: 0, until: 0, priority });
        } else if (what === "take") {
          const free = [...model].filter(([, job]) => job.by === undefined);
          const order = (a: (typeof free)[number], b: (typeof free)[number]): number =>
            b[1].priority - a[1].priority || Number(a[0] - b[0]);
          const [expected] = free.sort(order);
          if (!expected) continue;
          const got = await w.ask(pid, "recv", { visibilityUs: BigInt(LEASE) }, handle);
          const [id, job] = expected;
          job.deliveries++;
          job.by = pid;
          job.until = w.now + LEASE;
          expect([got.id, got.delivery]).toEqual([id, job.deliveries]);
        } else if ((what === "ack" || what === "nack") && mine) {
          const [id, { deliveries }] = mine;
          const again = what === "nack";
          // A delivery whose time was over, though the message came to the same process again.
          const old = w.ask(pid, "ack", { id, delivery: deliveries - 1 }, handle);
          await expect(old).rejects.toThrow(/^ENOENT/);
          await w.ask(pid, "ack", { id, delivery: deliveries, again }, handle);
          await expect(w.ask(pid, "ack", { id, delivery: deliveries }, handle)).rejects.toThrow(
            /^ENOENT/,
          );
          if (again) release(id);
          else {
            model.delete(id);
            acked.add(id);
          }
        } else if (what === "pass") {
          w.pass(400);
          for (const [id, job] of [...model])
            if (job.by !== undefined && job.until <= w.now) release(id);
        } else if (what === "die" && pid !== root) {
          w.end(pid);
          for (const [id, job] of [...model]) if (job.by === pid) release(id);
          await born(who);
        }
        const boxes = [...w.state.ipc.objects.values()].flatMap((o) =>
          o.type === "mailbox" ? [o] : [],
        );
        const inBox = (name: string) =>
          boxes.find((box) => box.name === name)?.box.mails.map(({ id }) => id) ?? [];
        expect(new Set(inBox("jobs"))).toEqual(new Set(model.keys()));
        expect(new Set(inBox("dead"))).toEqual(dead);
        expect(inBox("jobs").some((id) => acked.has(id))).toBe(false);
      }
    }),
    { numRuns: 30 },
  );
});

it("a lock has one holder at most, whoever dies, and nobody waits for a free one", async () => {
  const op = fc.record({
    what: fc.constantFrom("lock", "lock", "unlock", "pass", "die", "close"),
    who: fc.nat(3),
    leaseUs: fc.constantFrom(0n, 500n),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(op, { maxLength: 50, size: "max" }), async (ops) => {
      const w = new IpcWorld();
      const held = new Map<bigint, bigint>();
      let last = 0n;
      const agents: { pid: bigint; handle: number; waits: boolean }[] = [];
      const born = async (i: number): Promise<void> => {
        const pid = w.agent();
        agents[i] = { pid, handle: await w.open(pid, "lock", "l"), waits: false };
      };
      for (let i = 0; i < 4; i++) await born(i);
      const lock = () => [...w.state.ipc.objects.values()].find((o) => o.type === "lock");
      for (const { what, who, leaseUs } of ops) {
        const agent = agents[who];
        if (!agent) continue;
        const { pid, handle } = agent;
        const token = held.get(pid);
        if (what === "lock" && !agent.waits && token === undefined) {
          agent.waits = true;
          w.ask(pid, "lock", { leaseUs }, handle).then(
            (got) => {
              // Tokens rise: no two holders, in whatever order, have the same.
              expect(got.token).toBeGreaterThan(last);
              last = got.token;
              held.set(pid, got.token);
              agent.waits = false;
            },
            () => undefined,
          );
        } else if (what === "unlock" && token !== undefined) {
          held.delete(pid);
          await w.ask(pid, "unlock", { token }, handle).catch((error: Error) => {
            expect(error.message).toMatch(/^ENOENT/);
          });
        } else if (what === "pass") w.pass(300);
        else if (what === "die" || what === "close") {
          if (what === "die") w.end(pid);
          else await w.ask(pid, "capClose", {}, handle);
          held.delete(pid);
          await born(who);
        }
        await w.settled(Promise.resolve());
        const now = lock();
        const holder = now?.type === "lock" ? now.holder : undefined;
        const waits = agents.filter(({ waits: each }) => each);
        if (!holder) expect(waits).toHaveLength(0);
        else expect(agents.map(({ pid: each }) => each)).toContain(holder.pid);
      }
    }),
    { numRuns: 30 },
  );
});
