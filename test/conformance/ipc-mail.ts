/** What mail and requests do, wherever caller and object are: one suite for one kernel and for two. */
import { describe, expect, it } from "vitest";
import type { IpcPair } from "../support/ipc-pair.js";
import { bytes } from "../support/ipc-world.js";
import { until } from "../support/kernels.js";

export function mailConformance(name: string, make: () => Promise<IpcPair>): void {
  describe(`mail ${name}`, () => {
    it("is received by priority, then in the order in which it came", async () => {
      const w = await make();
      const [a, b] = [w.agent(), w.peer()];
      for (const [body, priority] of [
        ["1", 0],
        ["2", 5],
        ["3", 0],
        ["4", 9],
        ["5", 5],
      ] as const) {
        await w.ask(a, "send", { pid: b, body: bytes(body), priority });
      }
      const got: string[] = [];
      for (let i = 0; i < 5; i++) got.push((await w.ask(b, "recv")).body.toString());
      expect(got).toEqual(["4", "2", "5", "1", "3"]);
      await expect(w.ask(a, "send", { pid: b, priority: 10 })).rejects.toThrow(/^EINVAL: priority/);
    });

    it("goes to whoever waited longest and wants it", async () => {
      const w = await make();
      const [a, b, c] = [w.agent(), w.agent(), w.peer()];
      const picky = w.ask(c, "recv", { from: b });
      const first = w.ask(c, "recv");
      await w.ask(a, "send", { pid: c, body: bytes("of a") });
      expect((await first).body.toString()).toBe("of a");
      await w.ask(b, "send", { pid: c, body: bytes("of b") });
      expect((await picky).body.toString()).toBe("of b");
    });

    it("that is leased comes again when its time is over, to another who asks", async () => {
      const w = await make();
      const [a, b] = [w.agent(), w.agent()];
      const [jobs, same] = [await w.open(a, "mailbox", "jobs"), await w.open(b, "mailbox", "jobs")];
      await w.ask(a, "send", { body: bytes("job") }, jobs);
      const first = await w.ask(a, "recv", { visibilityUs: 1000n }, jobs);
      const again = w.ask(b, "recv", { visibilityUs: 1000n }, same);
      await w.pass(999);
      expect(await w.settled(again)).toBe(false);
      await w.pass(1);
      const second = await again;
      expect([first.delivery, second.delivery, second.id]).toEqual([1, 2, first.id]);
      await expect(w.ask(a, "ack", { id: first.id, delivery: 1 }, jobs)).rejects.toThrow(/^ENOENT/);
      await w.ask(b, "ack", { id: second.id, delivery: 2 }, same);
      expect((await w.ask(a, "ipcList", { node: w.node })).objects).toMatchObject([
        { name: "jobs", messages: 0 },
      ]);
      // Its timer is gone too: nothing comes back.
      await w.pass(10_000);
      expect(await w.settled(w.ask(b, "recv", {}, same))).toBe(false);
    });

    it("that a dead process had is delivered to the next at once", async () => {
      const w = await make();
      const [a, b] = [w.agent(), w.agent()];
      const [jobs, same] = [await w.open(a, "mailbox", "jobs"), await w.open(b, "mailbox", "jobs")];
      await w.ask(a, "send", { body: bytes("job") }, jobs);
      await w.ask(b, "recv", { visibilityUs: 1_000_000n }, same);
      const next = w.ask(a, "recv", { visibilityUs: 1_000_000n }, jobs);
      w.end(b);
      expect(await next).toMatchObject({ delivery: 2 });
    });

    it("that is refused rests, and after as many deliveries as may be is a dead letter", async () => {
      const w = await make();
      const a = w.agent();
      const jobs = await w.open(a, "mailbox", "jobs", { mailbox: { maxDeliveries: 2 } });
      await w.ask(a, "send", { body: bytes("job"), topic: "t" }, jobs);
      const lease = { visibilityUs: 1_000_000n };
      const { id } = await w.ask(a, "recv", lease, jobs);
      await w.ask(a, "ack", { id, delivery: 1, again: true, delayUs: 500n }, jobs);
      const later = w.ask(a, "recv", lease, jobs);
      expect(await w.settled(later)).toBe(false);
      await w.pass(500);
      expect((await later).delivery).toBe(2);
      await w.ask(a, "ack", { id, delivery: 2, again: true }, jobs);
      const dead = await w.open(a, "mailbox", "dead-letters", { existing: true });
      const letter = await w.ask(a, "recv", lease, dead);
      expect(letter).toMatchObject({ id, topic: "t", delivery: 1 });
      expect(letter.dead).toBe('mailbox "jobs": delivered 2 times and not acknowledged');
      // Among the dead letters it stays, however often it is looked at.
      for (let i = 1; i < 9; i++) {
        await w.ask(a, "ack", { id, delivery: i, again: true }, dead);
        expect((await w.ask(a, "recv", lease, dead)).delivery).toBe(i + 1);
      }
    });

    it("for which the dead letters have no room is not lost", async () => {
      const w = await make();
      const a = w.agent();
      const dead = await w.open(a, "mailbox", "dead", {
        mailbox: { messages: 1, deadLetters: "" },
      });
      const options = { mailbox: { maxDeliveries: 1, deadLetters: "dead" } };
      const jobs = await w.open(a, "mailbox", "jobs", options);
      await w.ask(a, "send", { body: bytes("in the way") }, dead);
      await w.ask(a, "send", { body: bytes("job") }, jobs);
      const { id } = await w.ask(a, "recv", { visibilityUs: 1000n }, jobs);
      await w.ask(a, "ack", { id, delivery: 1, again: true }, jobs);
      await w.pass(30_000_000);
      expect((await w.ask(a, "recv", {}, dead)).body.toString()).toBe("in the way");
      await w.pass(30_000_000);
      expect((await w.ask(a, "recv", {}, dead)).body.toString()).toBe("job");
    });

    it("is bounded in messages and bytes: EAGAIN with a time", async () => {
      const w = await make();
      const a = w.agent();
      const few = await w.open(a, "mailbox", "few", { mailbox: { messages: 2, bytes: 10 } });
      await w.ask(a, "send", { body: Buffer.alloc(50) }, few);
      const full = await w.call(a, "send", { body: bytes("x") }, few);
      expect(full.result).toMatchObject({ value: { name: "EAGAIN", retryAfterUs: 100_000n } });
      await w.ask(a, "recv", {}, few);
      await w.ask(a, "send", { body: bytes("x") }, few);
      await w.ask(a, "send", { body: bytes("x") }, few);
      await expect(w.ask(a, "send", {}, few)).rejects.toThrow(/^EAGAIN: mailbox "few" is full/);
    });

    it("brings handles along, which the sender then has no more", async () => {
      const w = await make();
      const [a, b] = [w.agent(), w.agent()];
      const { handle: reader, writeHandle } = await w.ask(a, "open", {
        node: w.node,
        type: "pipe",
      });
      await w.ask(a, "send", { pid: b, body: bytes("take"), handles: [writeHandle] });
      const { handles } = await w.ask(b, "recv");
      await w.ask(b, "pipeWrite", { data: bytes("hello") }, handles[0]);
      expect((await w.ask(a, "pipeRead", {}, reader)).data.toString()).toBe("hello");
      await expect(w.ask(a, "pipeWrite", { data: bytes("x") }, writeHandle)).rejects.toThrow(
        /^EBADF/,
      );
      const jobs = await w.open(a, "mailbox", "jobs");
      const sent = w.ask(a, "send", { handles: [reader] }, jobs);
      await expect(sent).rejects.toThrow(/^EINVAL: handles go to a process/);
    });
  });

  describe(`a request ${name}`, () => {
    it("is answered by whom it was asked of, and by nobody else", async () => {
      const w = await make();
      const [a, b, c] = [w.agent(), w.peer(), w.agent()];
      const answer = w.ask(a, "request", { pid: b, body: bytes("?") });
      // Plain mail it is not.
      expect(await w.settled(w.ask(b, "recv"))).toBe(false);
      const early = w.agent();
      await expect(w.ask(b, "reply", { id: 1n })).rejects.toThrow(/ENOENT|EPERM/);
      const { id, request } = await w.ask(b, "recv", { requests: true });
      expect(request).toBe(true);
      for (const stranger of [a, c, early]) {
        await expect(w.ask(stranger, "reply", { id })).rejects.toThrow(/^EPERM/);
      }
      await w.ask(b, "reply", { id, body: bytes("!") });
      expect(await answer).toMatchObject({ body: bytes("!"), from: b, error: "" });
      await expect(w.ask(b, "reply", { id })).rejects.toThrow(/^ENOENT/);
      expect(w.state.ipc.requests.size + w.state.ipc.asked.size).toBe(0);
    });

    it("fails with ESRCH when the peer is over, whether it had received it or not", async () => {
      const w = await make();
      const [a, b] = [w.agent(), w.peer()];
      const answers = [1, 2].map(() => w.ask(a, "request", { pid: b }));
      await w.ask(b, "recv", { requests: true });
      // The other one may still be on its way.
      await until(() => w.state.ipc.requests.size === 2);
      w.end(b);
      for (const answer of answers)
        await expect(answer).rejects.toThrow(/^ESRCH: .*before it replied/);
      expect(w.state.ipc.requests.size).toBe(0);
    });

    it("that is given up is withdrawn: not received any more, and a reply finds nobody", async () => {
      const w = await make();
      const [a, b] = [w.agent(), w.peer()];
      const unread = w.ask(a, "request", { pid: b });
      await w.cancelAll(a);
      await expect(unread).rejects.toThrow(/^ECANCELED/);
      expect(w.state.processes.get(b)?.mailbox.mails).toHaveLength(0);
      const read = w.ask(a, "request", { pid: b });
      const { id } = await w.ask(b, "recv", { requests: true });
      await w.cancelAll(a);
      await expect(read).rejects.toThrow(/^ECANCELED/);
      await expect(w.ask(b, "reply", { id })).rejects.toThrow(/^ENOENT/);
    });

    it("to a mailbox is answered by whoever receives it there", async () => {
      const w = await make();
      const [a, b, c] = [w.agent(), w.agent(), w.agent()];
      const [one, two, three] = await Promise.all(
        [a, b, c].map((p) => w.open(p, "mailbox", "svc")),
      );
      const answer = w.ask(a, "request", { body: bytes("?") }, one);
      const { id } = await w.ask(b, "recv", { requests: true }, two);
      await expect(w.ask(c, "reply", { id })).rejects.toThrow(/^EPERM/);
      await w.ask(b, "reply", { id, error: "not today" });
      expect(await answer).toMatchObject({ from: b, error: "not today" });
      const orphan = w.ask(a, "request", {}, one);
      await w.ask(c, "recv", { requests: true }, three);
      w.end(c);
      await expect(orphan).rejects.toThrow(/^ESRCH/);
      await expect(w.ask(b, "recv", { requests: true, visibilityUs: 1n }, two)).rejects.toThrow(
        /^EINVAL/,
      );
    });
  });
}
