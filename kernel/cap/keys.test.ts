/** Keys, principals and their file, with a hash that the test holds back at will. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { BareKernel } from "../../test/support/bare-kernel.js";
import { systemRandomness } from "../clock.js";
import { memoryJournal } from "../journal/journal.js";
import { keyFile } from "./key-file.js";
import { Keys, makeKey } from "./keys.js";
import { ALL_RIGHTS } from "./rights.js";

/** A verifier over one good key of Alice's; hashes are computed when the test says. */
async function verifier() {
  const clock = { now: () => time.now, wall: () => time.now / 1000, after: () => () => {} };
  const time = { now: 1000 };
  const waiting: (() => void)[] = [];
  let held = false;
  let hashes = 0;
  const hasher = async (given: string, salt: Buffer) => {
    hashes++;
    if (held) await new Promise<void>((resolve) => waiting.push(resolve));
    return Buffer.from(`${given}${salt.toString("hex")}`);
  };
  const journal = memoryJournal();
  journal.append({ type: "principal.added", name: "alice", createdAt: 0 });
  const add = async ({ expiresAt = 0, marked = true } = {}) => {
    const { text, mark, ...rest } = await makeKey(systemRandomness, hasher);
    const kept = marked ? { ...rest, mark } : rest;
    const facts = { principal: "alice", name: "", scopes: ["*"], createdAt: 0, revokedAt: 0 };
    journal.append({ type: "key.added", ...facts, ...kept, expiresAt });
    return { text, id: kept.id };
  };
  const keys = new Keys({ clock, journal, hasher });
  const hold = (): void => {
    held = true;
  };
  const release = async (): Promise<void> => {
    held = false;
    while (waiting.length > 0) {
      waiting.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { keys, add, journal, time, hold, release, waiting, hashes: () => hashes };
}

const another = (text: string) => `${text.slice(0, -4)}${text.endsWith("AAAA") ? "BBBB" : "AAAA"}`;

describe("a key", () => {
  it("is who it says, once hashed and then remembered for a while", async () => {
    const { keys, add, time, hashes } = await verifier();
    const { text, id } = await add();
    expect(text).toMatch(/^ctx_[a-z0-9]{12}_[\w-]{43}$/);
    expect(await keys.verify(text)).toMatchObject({ id, principal: "alice", scopes: ["*"] });
    const before = hashes();
    await keys.verify(text);
    expect(hashes()).toBe(before);
    time.now += 600_000_000;
    await keys.verify(text);
    expect(hashes()).toBe(before + 1);
  });

  it.each([
    ["with another secret", another],
    ["of no form", () => "ctx_"],
    [
      "of an id that there is not",
      (text: string) => text.replace(/^ctx_.{12}/, "ctx_aaaaaaaaaaaa"),
    ],
    ["cut", (text: string) => text.slice(0, -1)],
    ["with more behind it", (text: string) => `${text}A`],
  ])("%s is EACCES", async (_, spoil) => {
    const { keys, add } = await verifier();
    const { text } = await add();
    await expect(keys.verify(spoil(text))).rejects.toMatchObject({ code: "EACCES" });
  });

  it("that was revoked or has expired is refused, remembered or not", async () => {
    const { keys, add, journal, time } = await verifier();
    const [one, two] = [await add(), await add({ expiresAt: 5 })];
    await keys.verify(one.text);
    await keys.verify(two.text);
    journal.append({ type: "key.revoked", id: one.id, at: 1 });
    await expect(keys.verify(one.text)).rejects.toThrow(/is revoked/);
    time.now = 5000;
    await expect(keys.verify(two.text)).rejects.toThrow(/has expired/);
  });

  it("that is revoked while it is looked at is refused", async () => {
    const { keys, add, journal, hold, release } = await verifier();
    const { text, id } = await add();
    hold();
    const verdict = expect(keys.verify(text)).rejects.toThrow(/is revoked/);
    await new Promise((resolve) => setImmediate(resolve));
    journal.append({ type: "key.revoked", id, at: 1 });
    await release();
    await verdict;
  });
});

describe("many keys at once", () => {
  it("cost one hash when they are the same", async () => {
    const { keys, add, hold, release, hashes } = await verifier();
    const { text } = await add();
    const before = hashes();
    hold();
    const all = Promise.all(Array.from({ length: 64 }, () => keys.verify(text)));
    await release();
    expect(await all).toHaveLength(64);
    expect(hashes()).toBe(before + 1);
  });

  it("are bounded for each key, and a flood for one key lets the others through", async () => {
    const { keys, add, hold, release, waiting } = await verifier();
    const [flooded, honest] = [await add({ marked: false }), await add()];
    hold();
    const wrong = Array.from({ length: 40 }, (_, i) => {
      const text = `${flooded.text.slice(0, -8)}${String(i).padStart(8, "0")}`;
      return keys.verify(text).then(
        () => "good",
        (error: { code: string }) => error.code,
      );
    });
    const order: string[] = [];
    const good = keys.verify(honest.text).then(() => order.push("honest"));
    for (const each of wrong) void each.then((code) => order.push(code));
    await new Promise((resolve) => setImmediate(resolve));
    expect(waiting).toHaveLength(2);
    await release();
    await good;
    const verdicts = await Promise.all(wrong);
    expect(verdicts.filter((code) => code === "EAGAIN")).toHaveLength(30);
    expect(verdicts.filter((code) => code === "EACCES")).toHaveLength(10);
    // Behind the two that were under way, and not behind all that waited.
    const denied = order.filter((what) => what !== "EAGAIN");
    expect(denied.indexOf("honest")).toBeLessThanOrEqual(4);
  });

  it("with wrong secrets cost no hash, but for one in 65,536, and then are no better", async () => {
    const { keys, add, hashes } = await verifier();
    const [marked, before] = [await add(), await add({ marked: false })];
    const wrong = ({ text }: { text: string }, i: number) =>
      `${text.slice(0, -8)}${String(i).padStart(8, "0")}`;
    const markOf = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 4);
    const tried = Array.from({ length: 1000 }, (_, i) => wrong(marked, i));
    let hashed = hashes();
    for (const text of tried) await expect(keys.verify(text)).rejects.toThrow(/token is wrong/);
    const sameMark = tried.filter((text) => markOf(text) === markOf(marked.text));
    expect(hashes() - hashed).toBe(sameMark.length);
    let i = 1000;
    while (markOf(wrong(marked, i)) !== markOf(marked.text)) i++;
    hashed = hashes();
    await expect(keys.verify(wrong(marked, i))).rejects.toThrow(/token is wrong/);
    expect(hashes() - hashed).toBe(1);
    // A key that was made before there were marks is as good.
    await expect(keys.verify(wrong(before, 1))).rejects.toThrow(/token is wrong/);
    expect(await keys.verify(before.text)).toMatchObject({ id: before.id });
    expect(await keys.verify(marked.text)).toMatchObject({ id: marked.id });
  });
});

describe("a principal", () => {
  const boss = (to: BareKernel) => to.process({ principal: "admin", gifts: [everything] });
  const everything = {
    ...{ parent: 0n, object: { type: "principal", id: "*" } as const, rights: ALL_RIGHTS },
  };

  it("that is removed takes all with it that is its own, and nothing else", async () => {
    const to = new BareKernel();
    const admin = boss(to);
    for (const name of ["alice", "bob"]) await to.outcome(admin, "principalAdd", { name });
    const [alice, bob] = [to.process(), to.process({ principal: "bob" })];
    to.context(alice);
    const kept = to.context(alice);
    to.kernel.journal.append({ type: "ctx.moved", cid: kept.cid, owner: 0n, handle: 0 });
    const other = to.context(bob);
    const plan = { name: "s", cron: "* * * * *", timezone: "UTC", body: new Uint8Array(), at: 0 };
    for (const [i, principal] of ["alice", "bob"].entries()) {
      const id = BigInt(i + 1);
      const target = { kind: "subject", subject: "x" } as const;
      to.kernel.journal.append(
        { type: "ipc.opened", id, principal, name: "l", object: { type: "lock" } },
        { type: "schedule.set", id, principal, target, ...plan },
      );
    }
    const sleeping = to.outcome(alice, "sleep", { us: 1000n });
    const { result } = await to.call(admin, "principalRemove", { name: "alice" });
    expect(result).toMatchObject({ value: { processes: 1, keys: 0 } });
    expect(to.cut.get(alice)).toBe("alice was removed");
    expect(to.state.processes.get(alice)?.exit).toMatchObject({ cause: "alice was removed" });
    expect([...to.state.contexts.keys()]).toEqual([other.cid]);
    expect(to.erased).toEqual(["alice"]);
    expect([...to.state.ipc.objects.values()].map(({ principal: of }) => of)).toEqual(["bob"]);
    expect([...to.state.time.schedules.values()].map(({ principal: of }) => of)).toEqual(["bob"]);
    expect(await to.outcome(bob, "uname")).not.toMatch(/EPERM|ESRCH/);
    expect([...to.state.principals.keys()]).toEqual(["admin", "bob"]);
    await expect(Promise.race([sleeping, Promise.resolve("no answer")])).resolves.toBeDefined();
  });

  it.each([
    ["principalAdd", { name: "Alice" }, /^EINVAL: name is "Alice"/],
    ["principalAdd", { name: "admin" }, /^EEXIST/],
    ["principalRemove", { name: "admin" }, /^EINVAL/],
    ["principalRemove", { name: "nobody" }, /^ENOENT/],
    ["keyAdd", { principal: "nobody" }, /^ENOENT/],
    [
      "keyAdd",
      { principal: "admin", scopes: ["lllm"] },
      /^EINVAL: there is no scope "lllm"; one of .*llm/,
    ],
    ["keyAdd", { principal: "admin", ttlMs: 2n ** 60n }, /^EINVAL: ttl_ms/],
    ["keyRevoke", { id: "aaaaaaaaaaaa" }, /^ENOENT/],
    ["keyRotate", { id: "aaaaaaaaaaaa" }, /^ENOENT/],
  ] as const)("%s %o is refused", async (call, args, said) => {
    const to = new BareKernel();
    expect(await to.outcome(boss(to), call, args)).toMatch(said);
  });

  it("'s key ends who lives by it when it is revoked, rotated or expires, children too", async () => {
    const to = new BareKernel();
    const admin = boss(to);
    const make = async (args: object = {}) => {
      const { result } = await to.call(admin, "keyAdd", { principal: "admin", ...args });
      if (result?.$case !== "keyAdd") throw new Error(JSON.stringify(result));
      return result.value;
    };
    const over = (pid: bigint) => to.state.processes.get(pid)?.exit?.cause;
    const [one, two, three] = [await make(), await make(), await make({ ttlMs: 10n })];
    const [a, b, c] = [one, two, three].map(({ id }) => to.process({ key: id })) as [
      bigint,
      bigint,
      bigint,
    ];
    const child = to.process({ parent: a, key: one.id });
    const { result } = await to.call(admin, "keyRevoke", { id: one.id });
    expect(result).toMatchObject({ value: { processes: 2 } });
    expect([over(a), over(child)]).toEqual(Array(2).fill(`the key ${one.id} was revoked`));
    expect(await to.outcome(admin, "keyRevoke", { id: one.id })).toBe("ok");
    expect(await to.outcome(admin, "keyRotate", { id: one.id })).toMatch(/^EINVAL: .*already/);
    const rotated = await to.call(admin, "keyRotate", { id: two.id, graceMs: 5n });
    expect(rotated.result).toMatchObject({ $case: "keyRotate" });
    expect([over(b), over(c)]).toEqual([undefined, undefined]);
    to.pass(5000);
    expect(over(b)).toBe(`the key ${two.id} has expired`);
    to.pass(5000);
    expect(over(c)).toBe(`the key ${three.id} has expired`);
    // Neither the text nor anything to guess it by is in what an administrator sees.
    const { result: listed } = await to.call(admin, "keyList");
    expect(JSON.stringify(listed, (_, v) => (typeof v === "bigint" ? Number(v) : v))).not.toContain(
      one.key,
    );
  });
});

describe("the file of principals and keys", () => {
  function place(): string {
    const folder = mkdtempSync(join(tmpdir(), "contix-keys-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    return join(folder, "principals.json");
  }
  const key = {
    ...{ id: "aaaaaaaaaaaa", principal: "alice", name: "n", hash: "h", salt: "s", mark: "00ff" },
    scopes: ["llm"],
    ...{ createdAt: 1, expiresAt: 9, revokedAt: 0 },
  };

  it("is read as it was written, and only its owner may read it", () => {
    const path = place();
    const journal = memoryJournal();
    journal.append(
      { type: "principal.added", name: "alice", createdAt: 1 },
      { type: "key.added", ...key },
      { type: "key.revoked", id: key.id, at: 4 },
    );
    keyFile(path).save(journal.state);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const again = memoryJournal();
    again.append(...keyFile(path).load());
    expect(again.state.keys.get(key.id)).toEqual({ ...key, revokedAt: 4 });
    expect(again.state.principals).toEqual(journal.state.principals);
    expect(readFileSync(path, "utf8")).not.toContain("ctx_");
  });

  it.each([
    "",
    "{",
    "[]",
    '{"version":2,"principals":[],"keys":[]}',
    '{"version":1,"principals":[],"keys":[{}]}',
  ])("that holds %o ends the boot, with its path", (text) => {
    const path = place();
    writeFileSync(path, text);
    expect(() => keyFile(path).load()).toThrow(path);
  });

  it("that can not be written is EIO", () => {
    const { state } = memoryJournal();
    expect(() => keyFile("/proc/nowhere/principals.json").save(state)).toThrow(/\/proc\/nowhere/);
  });
});
