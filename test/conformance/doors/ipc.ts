/** Messages between processes that came through the same door. */
import { expect } from "vitest";
import type { DoorClient } from "../../support/door-client.js";
import { bytes, type Case, fails, fresh, withPeer, words } from "./case.js";

const WAIT_US = 60_000_000n;

async function mailbox(os: DoorClient, options: object = {}): Promise<number> {
  const mailbox = { messages: 0, bytes: 0, maxDeliveries: 0, deadLetters: undefined, ...options };
  return (await os.ok("open", { type: "mailbox", name: fresh("box"), mailbox })).handle;
}

async function pipe(os: DoorClient, capacity = 16_384) {
  const { handle: read, writeHandle: write } = await os.ok("open", { type: "pipe", capacity });
  return { read, write };
}

/** The same object for both. */
async function shared(os: DoorClient, peer: DoorClient, type: string, more: object = {}) {
  const name = fresh(type);
  const mine = (await os.ok("open", { type, name, ...more })).handle;
  return { mine, theirs: (await peer.ok("open", { type, name, ...more })).handle };
}

export const MAIL: readonly Case[] = [
  [
    "ipc.open makes a mailbox by its name, and finds it again",
    async (os) => {
      const name = fresh("box");
      const made = await os.ok("open", { type: "mailbox", name });
      const found = await os.ok("open", { type: "mailbox", name, existing: true });
      expect([made.created, found.created, found.id]).toEqual([true, false, made.id]);
    },
  ],
  fails("ipc.open of what must be there", "ENOENT", (os) =>
    os.ask("open", { type: "mailbox", name: fresh("none"), existing: true }),
  ),
  fails("ipc.open of another type", "EINVAL", (os) => os.ask("open", { type: "box", name: "x" })),
  [
    "ipc.send and ipc.recv through a mailbox, higher priorities first",
    async (os) => {
      const handle = await mailbox(os);
      for (const priority of [1, 9, 5]) {
        await os.ok("send", { body: bytes(String(priority)), priority }, { handle });
      }
      const got = [];
      for (let i = 0; i < 3; i++) got.push(words((await os.ok("recv", {}, { handle })).body));
      expect(got).toEqual(["9", "5", "1"]);
    },
  ],
  [
    "ipc.recv waits, and takes what one sender sent",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const waits = os.ok("recv", { from: peer.welcome.pid });
        await os.ok("send", { pid: os.welcome.pid, body: bytes("own") });
        await peer.ok("send", { pid: os.welcome.pid, body: bytes("theirs") });
        expect(words((await waits).body)).toBe("theirs");
        expect(words((await os.ok("recv")).body)).toBe("own");
      });
    },
  ],
  [
    "ipc.ack takes a delivered message away",
    async (os) => {
      const handle = await mailbox(os);
      await os.ok("send", { body: bytes("work") }, { handle });
      const { id, delivery } = await os.ok("recv", { visibilityUs: WAIT_US }, { handle });
      expect(delivery).toBe(1);
      await os.ok("ack", { id, delivery }, { handle });
      expect(await os.ask("ack", { id, delivery }, { handle })).toBe("ENOENT");
    },
  ],
  [
    "ipc.ack that says again delivers it again, and then to the dead letters",
    async (os) => {
      const dead = fresh("dead");
      const grave = (await os.ok("open", { type: "mailbox", name: dead })).handle;
      const handle = await mailbox(os, { maxDeliveries: 2, deadLetters: dead });
      await os.ok("send", { body: bytes("work") }, { handle });
      for (const delivery of [1, 2]) {
        const mail = await os.ok("recv", { visibilityUs: WAIT_US }, { handle });
        expect(mail.delivery).toBe(delivery);
        await os.ok("ack", { id: mail.id, delivery, again: true }, { handle });
      }
      const letter = await os.ok("recv", {}, { handle: grave });
      expect([words(letter.body), letter.dead]).toEqual(["work", expect.stringMatching(/deliver/)]);
    },
  ],
  fails("ipc.send into a full mailbox", "EAGAIN", async (os) => {
    const handle = await mailbox(os, { messages: 1 });
    await os.ok("send", { body: bytes("first") }, { handle });
    return os.ask("send", { body: bytes("second") }, { handle });
  }),
  [
    "ipc.send brings a handle along, which moves",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const { read, write } = await pipe(os);
        await os.ok("send", { pid: peer.welcome.pid, handles: [write] });
        const [theirs = 0] = (await peer.ok("recv")).handles;
        await peer.ok("pipeWrite", { data: bytes("from afar") }, { handle: theirs });
        expect(words((await os.ok("pipeRead", {}, { handle: read })).data)).toBe("from afar");
        expect(await os.ask("pipeWrite", { data: bytes("x") }, { handle: write })).toBe("EBADF");
      });
    },
  ],
  fails("ipc.send of a handle twice", "EINVAL", async (os) => {
    const { write } = await pipe(os);
    return os.ask("send", { pid: os.welcome.pid, handles: [write, write] });
  }),
  fails("ipc.send of somebody else's handle", "EBADF", (os) =>
    os.ask("send", { pid: os.welcome.pid, handles: [777] }),
  ),
  [
    "ipc.request waits for its ipc.reply",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const asked = os.ok("request", { pid: peer.welcome.pid, body: bytes("2+2"), topic: "sum" });
        const mail = await peer.ok("recv", { requests: true });
        expect([words(mail.body), mail.topic, mail.request]).toEqual(["2+2", "sum", true]);
        await peer.ok("reply", { id: mail.id, body: bytes("4") });
        const { body, from } = await asked;
        expect([words(body), from]).toEqual(["4", peer.welcome.pid]);
      });
    },
  ],
  [
    "ipc.reply may say no",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const asked = os.ok("request", { pid: peer.welcome.pid });
        const { id } = await peer.ok("recv", { requests: true });
        await peer.ok("reply", { id, error: "not today" });
        expect((await asked).error).toBe("not today");
      });
    },
  ],
  fails("ipc.reply to nothing", "ENOENT", (os) => os.ask("reply", { id: 12_345n })),
  [
    "ipc.request ends when the one who was asked does",
    async (os, door) => {
      const asked = await withPeer(door, async (peer) => {
        const seq = os.call("request", { pid: peer.welcome.pid });
        await peer.ok("recv", { requests: true });
        peer.call("exit", {});
        await peer.over();
        return seq;
      });
      expect(await os.errorOf(asked)).toBe("ESRCH");
    },
  ],
  [
    "ipc.publish reaches whoever has subscribed, ipc.subscribe with wildcards too",
    async (os) => {
      const root = fresh("news");
      const one = (await os.ok("subscribe", { pattern: `${root}.*` })).handle;
      const all = (await os.ok("subscribe", { pattern: `${root}.>` })).handle;
      const of = (subject: string) => os.ok("publish", { subject, body: bytes(subject) });
      expect((await of(`${root}.a`)).delivered).toBe(2);
      expect((await of(`${root}.a.b`)).delivered).toBe(1);
      expect((await of(fresh("other"))).delivered).toBe(0);
      expect((await os.ok("recv", {}, { handle: one })).topic).toBe(`${root}.a`);
      const both = [];
      for (let i = 0; i < 2; i++) both.push((await os.ok("recv", {}, { handle: all })).topic);
      expect(both).toEqual([`${root}.a`, `${root}.a.b`]);
    },
  ],
  [
    "ipc.publish tells a slow subscriber how many it missed",
    async (os) => {
      const subject = fresh("ticks");
      const { handle } = await os.ok("subscribe", { pattern: subject, messages: 1 });
      const publish = () => os.ok("publish", { subject, body: bytes("tick") });
      expect((await publish()).missed).toBe(0);
      expect((await publish()).missed).toBe(1);
      await os.ok("recv", {}, { handle });
      await publish();
      expect((await os.ok("recv", {}, { handle })).missed).toBe(1);
    },
  ],
  fails("ipc.publish to a subscriber that refuses", "EAGAIN", async (os) => {
    const subject = fresh("orders");
    await os.ok("subscribe", { pattern: subject, messages: 1, slow: "refuse" });
    await os.ok("publish", { subject });
    return os.ask("publish", { subject });
  }),
  fails("ipc.publish to a wildcard", "EINVAL", (os) => os.ask("publish", { subject: "a.*" })),
  fails("ipc.subscribe to no subject", "EINVAL", (os) => os.ask("subscribe", { pattern: "a..b" })),
  [
    "ipc.list shows what is in a mailbox",
    async (os) => {
      const name = fresh("box");
      const { handle, id } = await os.ok("open", { type: "mailbox", name });
      await os.ok("send", { body: bytes("12345") }, { handle });
      const { objects } = await os.ok("ipcList");
      const shown = objects.find((one) => one.id === id);
      expect(shown).toMatchObject({ type: "mailbox", name, messages: 1, bytes: 5n });
    },
  ],
  [
    "ipc.remove ends it, for who waits on it too",
    async (os) => {
      const name = fresh("box");
      const { handle } = await os.ok("open", { type: "mailbox", name });
      const waits = os.call("recv", {}, { handle });
      await os.ok("remove", { type: "mailbox", name });
      expect(await os.errorOf(waits)).toBe("EBADF");
      expect(await os.ask("open", { type: "mailbox", name, existing: true })).toBe("ENOENT");
    },
  ],
  fails("ipc.remove of nothing", "ENOENT", (os) =>
    os.ask("remove", { type: "lock", name: fresh("none") }),
  ),
];

export const SYNC: readonly Case[] = [
  [
    "ipc.write and ipc.read of a pipe, as it was written",
    async (os) => {
      const { read, write } = await pipe(os);
      await os.ok("pipeWrite", { data: bytes("first ") }, { handle: write });
      await os.ok("pipeWrite", { data: bytes("second") }, { handle: write });
      const part = await os.ok("pipeRead", { max: 3 }, { handle: read });
      const rest = await os.ok("pipeRead", {}, { handle: read });
      expect([words(part.data), words(rest.data)]).toEqual(["fir", "st second"]);
    },
  ],
  [
    "ipc.read waits until something is written, and ends with the writer",
    async (os) => {
      const { read, write } = await pipe(os);
      const waits = os.ok("pipeRead", {}, { handle: read });
      await os.ok("pipeWrite", { data: bytes("now") }, { handle: write });
      expect(words((await waits).data)).toBe("now");
      await os.ok("capClose", {}, { handle: write });
      expect((await os.ok("pipeRead", {}, { handle: read })).eof).toBe(true);
    },
  ],
  [
    "ipc.write waits while the pipe is full",
    async (os) => {
      const { read, write } = await pipe(os);
      await os.ok("pipeWrite", { data: Buffer.alloc(16_384, 1) }, { handle: write });
      const waits = os.ok("pipeWrite", { data: bytes("more") }, { handle: write });
      const first = await os.ok("pipeRead", {}, { handle: read });
      await waits;
      expect(first.data.length).toBeGreaterThanOrEqual(16_384);
    },
  ],
  fails("ipc.write into a full pipe, at once or not at all", "EAGAIN", async (os) => {
    const { write } = await pipe(os);
    await os.ok("pipeWrite", { data: Buffer.alloc(16_384) }, { handle: write });
    return os.ask("pipeWrite", { data: bytes("x"), try: true }, { handle: write });
  }),
  fails("ipc.write of more than the pipe has", "EMSGSIZE", async (os) => {
    const { write } = await pipe(os);
    return os.ask("pipeWrite", { data: Buffer.alloc(16_385) }, { handle: write });
  }),
  fails("ipc.write that nobody will read", "EPIPE", async (os) => {
    const { read, write } = await pipe(os);
    await os.ok("capClose", {}, { handle: read });
    return os.ask("pipeWrite", { data: bytes("x") }, { handle: write });
  }),
  fails("ipc.read by the end that writes", "EPERM", async (os) => {
    const { write } = await pipe(os);
    return os.ask("pipeRead", {}, { handle: write });
  }),
  [
    "ipc.lock goes to the next one at ipc.unlock, with a higher token",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const { mine, theirs } = await shared(os, peer, "lock");
        const { token } = await os.ok("lock", {}, { handle: mine });
        const waits = peer.ok("lock", {}, { handle: theirs });
        await os.ok("unlock", { token }, { handle: mine });
        expect((await waits).token).toBe(token + 1n);
      });
    },
  ],
  [
    "ipc.lock is free when its holder is gone",
    async (os, door) => {
      const waits = await withPeer(door, async (peer) => {
        const { mine, theirs } = await shared(os, peer, "lock");
        await peer.ok("lock", {}, { handle: theirs });
        expect(await os.ask("lock", { try: true }, { handle: mine })).toBe("EBUSY");
        const seq = os.call("lock", {}, { handle: mine });
        peer.call("exit", {});
        await peer.over();
        return seq;
      });
      expect((await os.reply(waits)).result?.$case).toBe("lock");
    },
  ],
  [
    "ipc.renew gives a lease more time; without it the next one has the lock",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const { mine, theirs } = await shared(os, peer, "lock");
        const { token } = await os.ok("lock", { leaseUs: WAIT_US }, { handle: mine });
        await os.ok("renew", { token, leaseUs: 1000n }, { handle: mine });
        expect((await peer.ok("lock", {}, { handle: theirs })).token).toBe(token + 1n);
        expect(await os.ask("renew", { token, leaseUs: 1000n }, { handle: mine })).toBe("ENOENT");
      });
    },
  ],
  fails("ipc.unlock with another's token", "ENOENT", async (os) => {
    const { handle } = await os.ok("open", { type: "lock", name: fresh("lock") });
    const { token } = await os.ok("lock", {}, { handle });
    return os.ask("unlock", { token: token + 1n }, { handle });
  }),
  [
    "ipc.meet lets the parties of a barrier go on together",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const { mine, theirs } = await shared(os, peer, "barrier", { parties: 2 });
        for (const generation of [0n, 1n]) {
          const first = os.ok("barrierWait", {}, { handle: mine });
          await os.ok("uname");
          const second = await peer.ok("barrierWait", {}, { handle: theirs });
          expect([await first, second]).toEqual([
            { generation, index: 0 },
            { generation, index: 1 },
          ]);
        }
      });
    },
  ],
  fails("ipc.open of a barrier for nobody", "EINVAL", (os) =>
    os.ask("open", { type: "barrier", name: fresh("barrier") }),
  ),
];
