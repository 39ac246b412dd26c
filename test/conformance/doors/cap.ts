/** Rights, questions, principals and keys. */
import { expect } from "vitest";
import { RIGHTS } from "../../../proto/rights.js";
import { type Door, DoorClient } from "../../support/door-client.js";
import { bytes, type Case, context, fails, fresh, NOBODY, text, withPeer } from "./case.js";

const NOTHING_ASKED = { principal: "", pid: 0n, timeoutUs: 0n };

/** A handle of the peer's on a context of `os`, and the grant's id. */
async function lent(os: DoorClient, peer: DoorClient, more: object = {}) {
  const { handle: own } = await context(os);
  const grant = { pid: peer.welcome.pid, rights: RIGHTS.read, ...more };
  const { handle, id } = await os.ok("capGrant", grant, { handle: own });
  return { own, handle, id };
}

async function principal(os: DoorClient): Promise<string> {
  const name = fresh("p");
  await os.ok("principalAdd", { name });
  return name;
}

/** A process of that principal's, which ends with `act`. */
async function withKey<T>(
  os: DoorClient,
  door: Door,
  more: object,
  act: (theirs: DoorClient, id: string, name: string) => Promise<T>,
): Promise<T> {
  const name = await principal(os);
  const { key, id } = await os.ok("keyAdd", { principal: name, ...more });
  return withPeer({ ...door, token: key }, (theirs) => act(theirs, id, name));
}

export const CAPS: readonly Case[] = [
  [
    "cap.open gives a handle out of the namespace, and cap.list shows it",
    async (os) => {
      const { pid } = os.welcome;
      const { handle, rights } = await os.ok("capOpen", {
        ...{ object: "process", id: pid, rights: RIGHTS.read | RIGHTS.signal },
      });
      expect(rights).toBe(RIGHTS.read | RIGHTS.signal);
      const { handles } = await os.ok("capList");
      const shown = handles.find((one) => one.handle === handle);
      expect(shown).toMatchObject({ object: "process", id: pid, rights, expiresUs: 0n });
    },
  ],
  fails("cap.open with too little for the call", "EPERM", async (os) => {
    const { handle } = await os.ok("capOpen", {
      ...{ object: "process", id: os.welcome.pid, rights: RIGHTS.read },
    });
    return os.ask("kill", { signal: "USR1" }, { handle });
  }),
  fails("cap.open of nobody", "ESRCH", (os) =>
    os.ask("capOpen", { object: "process", id: NOBODY }),
  ),
  fails("cap.open of another kind of thing", "EINVAL", (os) =>
    os.ask("capOpen", { object: "file", name: "/etc/passwd" }),
  ),
  [
    "cap.grant makes a weaker copy",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const { handle } = await lent(os, peer);
        expect((await peer.ok("ctxStat", {}, { handle })).given).toBeGreaterThan(0);
        expect(await peer.ask("ctxAppend", { input: text("x") }, { handle })).toBe("EPERM");
      });
    },
  ],
  fails("cap.grant of more than the handle has", "EPERM", async (os) => {
    const { pid } = os.welcome;
    const rights = RIGHTS.read | RIGHTS.grant;
    const { handle } = await os.ok("capOpen", { object: "process", id: pid, rights });
    return os.ask("capGrant", { pid, rights: RIGHTS.admin }, { handle });
  }),
  fails("cap.grant by a handle that may not be passed on", "EPERM", async (os) => {
    const { pid } = os.welcome;
    const rights = RIGHTS.read;
    const { handle } = await os.ok("capOpen", { object: "process", id: pid, rights });
    return os.ask("capGrant", { pid }, { handle });
  }),
  fails("cap.grant whose time is over", "EBADF", (os, door) =>
    withPeer(door, async (peer) => {
      const { handle } = await lent(os, peer, { ttlUs: 1n });
      return peer.ask("ctxStat", {}, { handle });
    }),
  ),
  [
    "cap.revoke takes back what was passed on from there too",
    async (os, door) => {
      await withPeer(door, (second) =>
        withPeer(door, async (third) => {
          const rights = RIGHTS.read | RIGHTS.grant;
          const { own, handle, id } = await lent(os, second, { rights });
          const to = { pid: third.welcome.pid, rights: RIGHTS.read };
          const last = await second.ok("capGrant", to, { handle });
          await third.ok("ctxStat", {}, { handle: last.handle });
          expect((await os.ok("capRevoke", { id }, { handle: own })).revoked).toBe(2);
          expect(await second.ask("ctxStat", {}, { handle })).toBe("EBADF");
          expect(await third.ask("ctxStat", {}, { handle: last.handle })).toBe("EBADF");
        }),
      );
    },
  ],
  [
    "cap.revoke ends what goes on through the handle",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const { handle: own } = await os.ok("open", { type: "mailbox", name: fresh("box") });
        const to = { pid: peer.welcome.pid, rights: RIGHTS.read };
        const { handle } = await os.ok("capGrant", to, { handle: own });
        const waits = peer.call("recv", {}, { handle });
        await peer.ok("uname");
        await os.ok("capRevoke", {}, { handle: own });
        expect(await peer.errorOf(waits)).toBe("EBADF");
      });
    },
  ],
  fails("cap.revoke of somebody else's grant", "ENOENT", async (os) => {
    const { handle } = await context(os);
    return os.ask("capRevoke", { id: 1n }, { handle });
  }),
  [
    "cap.close takes the handle away",
    async (os) => {
      const { handle } = await os.ok("capOpen", { object: "process", id: os.welcome.pid });
      await os.ok("capClose", {}, { handle });
      expect(await os.ask("kill", { signal: "USR1" }, { handle })).toBe("EBADF");
    },
  ],
  fails("cap.close of a context's own handle", "EBUSY", async (os) => {
    const { handle } = await context(os);
    return os.ask("capClose", {}, { handle });
  }),
  fails("cap.close of no handle", "EBADF", (os) => os.ask("capClose", {}, { handle: 4_000_000 })),
];

/** A call of the peer's that waits for an answer of an administrator's. */
async function asked(os: DoorClient, peer: DoorClient, timeoutUs = 0n): Promise<bigint> {
  const { handle: own } = await os.ok("open", { type: "mailbox", name: fresh("box") });
  const ask = { ...NOTHING_ASKED, pid: os.welcome.pid, timeoutUs };
  const to = { pid: peer.welcome.pid, rights: RIGHTS.write, ask };
  const { handle } = await os.ok("capGrant", to, { handle: own });
  return peer.call("send", { body: bytes("may I?") }, { handle });
}

export const QUESTIONS: readonly Case[] = [
  [
    "ask.list shows who waits for an answer, and ask.answer lets him go on",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const seq = await asked(os, peer);
        const { questions } = await os.ok("askList", { wait: true });
        const mine = questions.find(({ pid }) => pid === peer.welcome.pid);
        expect(mine).toMatchObject({ call: "ipc.send", principal: "admin" });
        await os.ok("askAnswer", { id: mine?.id ?? 0n, allow: true });
        expect((await peer.reply(seq)).result?.$case).toBe("send");
      });
    },
  ],
  [
    "ask.answer that says no is EPERM with the reason",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const seq = await asked(os, peer);
        const { questions } = await os.ok("askList", { wait: true });
        await os.ok("askAnswer", { id: questions[0]?.id ?? 0n, allow: false, reason: "not you" });
        const { result } = await peer.reply(seq);
        expect(result).toMatchObject({ $case: "error", value: { name: "EPERM" } });
        expect(JSON.stringify(result, (_, v) => (typeof v === "bigint" ? 0 : v))).toMatch(
          /not you/,
        );
      });
    },
  ],
  fails("a question that nobody answers in time", "EPERM", (os, door) =>
    withPeer(door, async (peer) => peer.errorOf(await asked(os, peer, 1000n))),
  ),
  fails("ask.answer to no question", "ENOENT", (os) =>
    os.ask("askAnswer", { id: 999_999n, allow: true }),
  ),
];

export const PRINCIPALS: readonly Case[] = [
  [
    "principal.add, and principal.list shows it",
    async (os) => {
      const name = await principal(os);
      const { principals } = await os.ok("principalList");
      expect(principals.find((one) => one.name === name)).toMatchObject({ keys: 0, processes: 0 });
      expect(principals.map((one) => one.name)).toContain("admin");
    },
  ],
  fails("principal.add of one that is there", "EEXIST", async (os) =>
    os.ask("principalAdd", { name: await principal(os) }),
  ),
  fails("principal.add of no name", "EINVAL", (os) => os.ask("principalAdd", { name: "A B" })),
  [
    "principal.quota sets limits of its own",
    async (os) => {
      const name = await principal(os);
      const quota = [{ quota: "processes", limit: 3n }];
      await os.ok("principalQuota", { name, quota });
      const { principals } = await os.ok("principalList");
      expect(principals.find((one) => one.name === name)?.quota).toEqual(quota);
    },
  ],
  fails("principal.quota of what there is not", "EINVAL", async (os) =>
    os.ask("principalQuota", {
      name: await principal(os),
      quota: [{ quota: "luck", limit: 3n }],
    }),
  ),
  [
    "a principal's quota holds through this door",
    async (os, door) => {
      await withKey(os, door, {}, async (theirs, id, name) => {
        await os.ok("principalQuota", { name, quota: [{ quota: "processes", limit: 1n }] });
        expect(await theirs.ask("spawn", { argv: [process.execPath, "-e", ""] })).toBe("EAGAIN");
        expect((await os.ok("keyRevoke", { id })).processes).toBe(1);
      });
    },
  ],
  [
    "principal.remove ends whoever acts for it",
    async (os, door) => {
      await withKey(os, door, {}, async (theirs, _id, name) => {
        expect(await os.ok("principalRemove", { name })).toMatchObject({ processes: 1, keys: 1 });
        await theirs.over();
      });
    },
  ],
  fails("principal.remove of nobody", "ENOENT", (os) =>
    os.ask("principalRemove", { name: fresh("none") }),
  ),
  fails("principal.remove of oneself", "EINVAL", (os) =>
    os.ask("principalRemove", { name: "admin" }),
  ),
  [
    "key.add makes a key that opens this door, for its principal",
    async (os, door) => {
      await withKey(os, door, { name: "laptop" }, async (theirs, id, name) => {
        expect(theirs.welcome.principal).toBe(name);
        const { keys } = await os.ok("keyList", { principal: name });
        expect(keys).toMatchObject([{ id, name: "laptop", revokedMs: 0n, processes: 1 }]);
      });
    },
  ],
  [
    "key.add with scopes opens those calls and no others",
    async (os, door) => {
      await withKey(os, door, { scopes: ["sys"] }, async (theirs) => {
        await theirs.ok("uname");
        expect(await theirs.ask("tokenize", { text: "x" })).toBe("EPERM");
        expect(await theirs.ask("ctxCreate", {})).toBe("EPERM");
      });
    },
  ],
  fails("key.add with a scope that there is not", "EINVAL", async (os) =>
    os.ask("keyAdd", { principal: await principal(os), scopes: ["everything"] }),
  ),
  fails("key.add for nobody", "ENOENT", (os) => os.ask("keyAdd", { principal: fresh("none") })),
  [
    "key.add with an end, after which the key is EACCES",
    async (os, door) => {
      const name = await principal(os);
      const { key, id } = await os.ok("keyAdd", { principal: name, ttlMs: 1n });
      const { keys } = await os.ok("keyList", { principal: name });
      expect(keys[0]?.expiresMs).toBeGreaterThan(0n);
      await os.ok("sleep", { us: 2000n });
      const late = DoorClient.open({ ...door, token: key });
      await expect(late).rejects.toMatchObject({ code: "EACCES" });
      await os.ok("keyRevoke", { id });
    },
  ],
  [
    "key.list names all keys and no secret",
    async (os) => {
      const name = await principal(os);
      const { key, id } = await os.ok("keyAdd", { principal: name });
      const { keys } = await os.ok("keyList", { principal: "" });
      expect(keys.map((one) => one.id)).toContain(id);
      const secret = key.slice(-20);
      expect(keys.some((one) => Object.values(one).some((v) => String(v).includes(secret)))).toBe(
        false,
      );
    },
  ],
  [
    "key.rotate leaves the old one good for the time it is given",
    async (os, door) => {
      const name = await principal(os);
      const first = await os.ok("keyAdd", { principal: name, scopes: ["sys"] });
      const second = await os.ok("keyRotate", { id: first.id, graceMs: 60_000n });
      for (const { key } of [first, second]) {
        await withPeer({ ...door, token: key }, (theirs) => theirs.ok("uname"));
      }
      const third = await os.ok("keyRotate", { id: second.id });
      const late = DoorClient.open({ ...door, token: second.key });
      await expect(late).rejects.toMatchObject({ code: "EACCES" });
      await withPeer({ ...door, token: third.key }, (theirs) => theirs.ok("uname"));
    },
  ],
  [
    "key.revoke ends whoever lives by it, at once",
    async (os, door) => {
      await withKey(os, door, {}, async (theirs, id) => {
        expect((await os.ok("keyRevoke", { id })).processes).toBe(1);
        await theirs.over();
      });
    },
  ],
  fails("key.revoke of no key", "ENOENT", (os) => os.ask("keyRevoke", { id: "nothing" })),
  fails("key.rotate of no key", "ENOENT", (os) => os.ask("keyRotate", { id: "nothing" })),
  [
    "what is an administrator's is nobody else's",
    async (os, door) => {
      await withKey(os, door, {}, async (theirs, id, name) => {
        const outcomes = [
          await theirs.ask("principalAdd", { name: fresh("p") }),
          await theirs.ask("principalList", {}),
          await theirs.ask("principalQuota", { name, quota: [] }),
          await theirs.ask("principalRemove", { name: "admin" }),
          await theirs.ask("keyAdd", { principal: "admin" }),
          await theirs.ask("keyList", {}),
          await theirs.ask("keyRotate", { id }),
          await theirs.ask("keyRevoke", { id }),
          await theirs.ask("schedSet", { quantum: 8 }),
        ];
        expect(new Set(outcomes)).toEqual(new Set(["EPERM"]));
      });
    },
  ],
];
