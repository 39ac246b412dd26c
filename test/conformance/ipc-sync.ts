/** What pipes, locks and barriers do, wherever caller and object are: one suite for one kernel and for two. */
import { describe, expect, it } from "vitest";
import type { IpcPair } from "../support/ipc-pair.js";
import { bytes } from "../support/ipc-world.js";

export function syncConformance(name: string, make: () => Promise<IpcPair>): void {
  describe(`a pipe ${name}`, () => {
    it("is read as it was written, and its writer waits while it is full", async () => {
      const w = await make();
      const a = w.agent();
      const { handle, writeHandle } = await w.ask(a, "open", {
        node: w.node,
        type: "pipe",
        capacity: 16_384,
      });
      await w.ask(a, "pipeWrite", { data: Buffer.alloc(16_000, 1) }, writeHandle);
      const waits = w.ask(a, "pipeWrite", { data: Buffer.alloc(1000, 2) }, writeHandle);
      const behind = w.ask(a, "pipeWrite", { data: Buffer.alloc(10, 3) }, writeHandle);
      expect(await w.settled(behind)).toBe(false);
      const now = w.ask(a, "pipeWrite", { data: Buffer.alloc(10), try: true }, writeHandle);
      await expect(now).rejects.toThrow(/^EAGAIN/);
      expect((await w.ask(a, "pipeRead", { max: 900 }, handle)).data).toEqual(Buffer.alloc(900, 1));
      await Promise.all([waits, behind]);
      const rest = await w.ask(a, "pipeRead", {}, handle);
      const expected = [Buffer.alloc(15_100, 1), Buffer.alloc(1000, 2), Buffer.alloc(10, 3)];
      expect(rest.data.equals(Buffer.concat(expected))).toBe(true);
      const long = w.ask(a, "pipeWrite", { data: Buffer.alloc(16_385) }, writeHandle);
      await expect(long).rejects.toThrow(/^EMSGSIZE/);
    });

    it("ends for its reader when the last writer is gone, after what was written", async () => {
      const w = await make();
      const [a, b] = [w.agent(), w.agent()];
      const { handle, writeHandle } = await w.ask(a, "open", { node: w.node, type: "pipe" });
      await w.ask(a, "send", { pid: b, handles: [writeHandle] });
      const [theirs = 0] = (await w.ask(b, "recv")).handles;
      await w.ask(b, "pipeWrite", { data: bytes("last words") }, theirs);
      w.end(b);
      expect((await w.ask(a, "pipeRead", {}, handle)).data.toString()).toBe("last words");
      expect(await w.ask(a, "pipeRead", {}, handle)).toMatchObject({ eof: true });
    });

    it("wakes a reader that waits when its writer closes, and a writer when its reader does", async () => {
      const w = await make();
      const [a, b] = [w.agent(), w.agent()];
      const first = await w.ask(a, "open", { node: w.node, type: "pipe" });
      const eof = w.ask(a, "pipeRead", {}, first.handle);
      await w.ask(a, "capClose", {}, first.writeHandle);
      expect((await eof).eof).toBe(true);
      const second = await w.ask(a, "open", { node: w.node, type: "pipe", capacity: 16_384 });
      await w.ask(a, "send", { pid: b, handles: [second.handle] });
      await w.ask(a, "pipeWrite", { data: Buffer.alloc(16_384) }, second.writeHandle);
      const waits = w.ask(a, "pipeWrite", { data: bytes("x") }, second.writeHandle);
      w.end(b);
      await expect(waits).rejects.toThrow(/^EPIPE/);
      const more = w.ask(a, "pipeWrite", { data: bytes("x") }, second.writeHandle);
      await expect(more).rejects.toThrow(/^EPIPE/);
      await w.ask(a, "capClose", {}, second.writeHandle);
      await w.ask(a, "capClose", {}, first.handle);
      await w.quiet();
      expect(w.state.ipc.objects.size).toBe(0);
    });

    it("with a name waits for the end that was never opened", async () => {
      const w = await make();
      const [a, b] = [w.agent(), w.agent()];
      const reader = await w.open(a, "pipe", "log", { end: "read" });
      const line = w.ask(a, "pipeRead", {}, reader);
      expect(await w.settled(line)).toBe(false);
      const writer = await w.open(b, "pipe", "log", { end: "write" });
      await expect(w.ask(b, "pipeRead", {}, writer)).rejects.toThrow(/^EPERM: the right to read/);
      await w.ask(b, "pipeWrite", { data: bytes("line") }, writer);
      expect((await line).data.toString()).toBe("line");
    });
  });

  it(`who waits ${name} tells what for, where its contexts are`, async () => {
    const w = await make();
    const [a, b] = [w.agent(), w.agent()];
    w.here.context(a);
    const pipe = await w.open(a, "pipe", "p", { end: "read" });
    const [mine, theirs] = [await w.open(a, "lock", "l"), await w.open(b, "lock", "l")];
    const barrier = await w.open(a, "barrier", "b", { parties: 2 });
    await w.ask(b, "lock", {}, theirs);
    for (const [call, args, handle, kind] of [
      ["pipeRead", {}, pipe, "pipe"],
      ["lock", {}, mine, "lock"],
      ["barrierWait", {}, barrier, "barrier"],
      ["request", { pid: w.peer() }, 0, "reply"],
    ] as const) {
      void w.call(a, call, args, handle);
      await w.quiet();
      expect(
        w.here.waits.splice(0).map((wait) => wait.kind),
        call,
      ).toEqual([kind]);
    }
  });

  describe(`a lock ${name}`, () => {
    const world = async (n: number) => {
      const w = await make();
      const pids = Array.from({ length: n }, () => w.agent());
      const handles = await Promise.all(pids.map((pid) => w.open(pid, "lock", "l")));
      const take = (i: number, args: object = {}) =>
        w.ask(pids[i] ?? 0n, "lock", args, handles[i] ?? 0);
      return { w, pids, handles, take };
    };

    it("goes from holder to holder in the order in which they asked", async () => {
      const { w, pids, handles, take } = await world(3);
      const { token } = await take(0);
      const [second, third] = [take(1), take(2)];
      await expect(take(1, { try: true })).rejects.toThrow(/^EBUSY/);
      const wrong = w.ask(pids[1] ?? 0n, "unlock", { token }, handles[1] ?? 0);
      await expect(wrong).rejects.toThrow(/^ENOENT/);
      await w.ask(pids[0] ?? 0n, "unlock", { token }, handles[0] ?? 0);
      expect((await second).token).toBe(token + 1n);
      expect(await w.settled(third)).toBe(false);
      w.end(pids[1] ?? 0n);
      expect((await third).token).toBe(token + 2n);
    });

    it("is free when its holder closed its handle", async () => {
      const { w, pids, handles, take } = await world(2);
      await take(0);
      const next = take(1);
      await w.ask(pids[0] ?? 0n, "capClose", {}, handles[0] ?? 0);
      await next;
    });

    it("is free when the handle that it was taken by has had its time", async () => {
      const { w, pids, handles, take } = await world(2);
      const [owner = 0n] = pids;
      const worker = w.agent();
      const lent = { pid: worker, ttlUs: 1000n };
      const { handle } = await w.ask(owner, "capGrant", lent, handles[0] ?? 0);
      await w.ask(worker, "lock", {}, handle);
      const next = take(1);
      await w.pass(999);
      expect(await w.settled(next)).toBe(false);
      await w.pass(1);
      await next;
      await expect(w.ask(worker, "lock", {}, handle)).rejects.toThrow(/^EBADF/);
    });

    it("is free when the lease is over, unless it was renewed; the late holder is told", async () => {
      const { w, pids, handles, take } = await world(2);
      const { token } = await take(0, { leaseUs: 1000n });
      const next = take(1);
      await w.pass(900);
      const [pid = 0n, handle = 0] = [pids[0], handles[0]];
      await w.ask(pid, "renew", { token, leaseUs: 1000n }, handle);
      await w.pass(900);
      expect(await w.settled(next)).toBe(false);
      await w.pass(100);
      await next;
      await expect(w.ask(pid, "unlock", { token }, handle)).rejects.toThrow(/^ENOENT/);
      await expect(w.ask(pid, "renew", { token, leaseUs: 1n }, handle)).rejects.toThrow(/^ENOENT/);
      // The timer of the first lease is not the second holder's.
      await w.pass(10_000);
      await expect(take(0, { try: true })).rejects.toThrow(/^EBUSY/);
    });

    it("that is removed ends the waiting", async () => {
      const { w, pids, take } = await world(2);
      await take(0);
      const waits = take(1);
      await w.ask(pids[0] ?? 0n, "remove", { node: w.node, type: "lock", name: "l" });
      await expect(waits).rejects.toThrow(/^EBADF/);
    });
  });

  describe(`a barrier ${name}`, () => {
    it("lets all go when all are there, again and again", async () => {
      const w = await make();
      const pids = [w.agent(), w.agent(), w.agent()];
      const handles = await Promise.all(pids.map((p) => w.open(p, "barrier", "b", { parties: 3 })));
      for (let round = 0; round < 3; round++) {
        const waits = pids.map((pid, i) => w.ask(pid, "barrierWait", {}, handles[i]));
        const met = await Promise.all(waits);
        expect(met.map(({ index }) => index)).toEqual([0, 1, 2]);
        expect(met.map(({ generation }) => Number(generation))).toEqual([round, round, round]);
      }
      await expect(w.open(w.agent(), "barrier", "b", { parties: 3 })).rejects.toThrow(/^EBUSY/);
      await expect(w.open(w.agent(), "barrier", "b", { parties: 2 })).rejects.toThrow(/^EEXIST/);
    });

    it("tells those who wait and who come later that a party is gone, until one takes its place", async () => {
      const w = await make();
      const [a, b, c] = [w.agent(), w.agent(), w.agent()];
      const [one, two] = await Promise.all(
        [a, b, c].map((p) => w.open(p, "barrier", "b", { parties: 3 })),
      );
      const waits = w.ask(a, "barrierWait", {}, one);
      w.end(c);
      await expect(waits).rejects.toThrow(/^ESRCH: .* left the barrier/);
      await expect(w.ask(b, "barrierWait", {}, two)).rejects.toThrow(/^ESRCH/);
      const d = w.agent();
      const four = await w.open(d, "barrier", "b", { parties: 3 });
      const met = [
        [a, one],
        [b, two],
        [d, four],
      ] as const;
      await Promise.all(met.map(([pid, handle]) => w.ask(pid, "barrierWait", {}, handle)));
    });

    it("counts a caller that gave up no more", async () => {
      const w = await make();
      const [a, b] = [w.agent(), w.agent()];
      const [one, two] = await Promise.all(
        [a, b].map((p) => w.open(p, "barrier", "b", { parties: 2 })),
      );
      const given = w.ask(a, "barrierWait", {}, one);
      await expect(w.ask(a, "barrierWait", {}, one)).rejects.toThrow(/^EBUSY/);
      await w.cancelAll(a);
      await expect(given).rejects.toThrow(/^ECANCELED/);
      const other = w.ask(b, "barrierWait", {}, two);
      expect(await w.settled(other)).toBe(false);
      await Promise.all([other, w.ask(a, "barrierWait", {}, one)]);
    });
  });
}
