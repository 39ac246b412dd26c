/** Principals and keys when their file can not be written, and when the wall clock steps. */
import { describe, expect, it } from "vitest";
import { ContixError } from "../../proto/errno.js";
import { BareKernel } from "../../test/support/bare-kernel.js";
import type { KeyFile } from "./key-file.js";
import { ALL_RIGHTS } from "./rights.js";

const SECOND = 1_000_000;

/** A kernel whose key file is in memory, and can be written so many times more. */
function world() {
  const disk = {
    saves: Number.POSITIVE_INFINITY,
    principals: [] as string[],
    good: [] as string[],
  };
  const file: KeyFile = {
    load: () => [],
    save({ principals, keys }) {
      if (disk.saves-- <= 0) throw new ContixError("EIO", "principals.json: no space");
      disk.principals = [...principals.keys()];
      disk.good = [...keys.values()].filter((key) => key.revokedAt === 0).map(({ id }) => id);
    },
  };
  const to = new BareKernel(1, file);
  const object = { type: "principal", id: "*" } as const;
  const boss = to.process({
    principal: "admin",
    gifts: [{ parent: 0n, object, rights: ALL_RIGHTS }],
  });
  const key = async (more: object = {}): Promise<string> => {
    const { result } = await to.call(boss, "keyAdd", { principal: "admin", ...more });
    if (result?.$case !== "keyAdd") throw new Error(JSON.stringify(result));
    return result.value.id;
  };
  const over = (pid: bigint) => to.state.processes.get(pid)?.exit?.cause;
  return { to, boss, disk, key, over };
}

describe("with a file that can not be written", () => {
  it("a revoked key ends who lives by it, says EIO, and is saved as soon as that goes", async () => {
    const { to, boss, disk, key, over } = world();
    const id = await key();
    const pid = to.process({ key: id });
    disk.saves = 0;
    const said =
      /^EIO: it is done, and holds while the daemon runs, but can not be saved: .*no space/;
    expect(await to.outcome(boss, "keyRevoke", { id })).toMatch(said);
    expect(over(pid)).toBe(`the key ${id} was revoked`);
    expect(await to.outcome(boss, "keyRevoke", { id })).toMatch(said);
    to.pass(5 * SECOND);
    expect(disk.good).toEqual([id]);
    disk.saves = Number.POSITIVE_INFINITY;
    to.pass(SECOND);
    expect(disk.good).toEqual([]);
    expect(await to.outcome(boss, "keyRevoke", { id })).toBe("ok");
  });

  it("a removed principal is gone with all that is its own, and can be removed until it is saved", async () => {
    const { to, boss, disk, over } = world();
    await to.outcome(boss, "principalAdd", { name: "alice" });
    const alice = to.process();
    disk.saves = 0;
    expect(await to.outcome(boss, "principalRemove", { name: "alice" })).toMatch(
      /^EIO: it is done/,
    );
    expect(over(alice)).toBe("alice was removed");
    expect(to.erased).toEqual(["alice"]);
    expect(await to.outcome(boss, "principalRemove", { name: "alice" })).toMatch(
      /^EIO: it is done/,
    );
    expect(disk.principals).toContain("alice");
    disk.saves = Number.POSITIVE_INFINITY;
    expect(await to.outcome(boss, "principalRemove", { name: "alice" })).toBe("ok");
    expect(disk.principals).not.toContain("alice");
    expect(await to.outcome(boss, "principalRemove", { name: "alice" })).toMatch(/^ENOENT/);
  });

  it("a rotated key ends in its time all the same", async () => {
    const { to, boss, disk, key, over } = world();
    const id = await key();
    const pid = to.process({ key: id });
    disk.saves = 1;
    expect(await to.outcome(boss, "keyRotate", { id, graceMs: 5n })).toMatch(/^EIO: it is done/);
    to.pass(5000);
    expect(over(pid)).toBe(`the key ${id} has expired`);
  });

  it("nothing new is made", async () => {
    const { to, boss, disk } = world();
    disk.saves = 0;
    const said = /^EIO: nothing was changed, as it can not be saved/;
    expect(await to.outcome(boss, "principalAdd", { name: "carol" })).toMatch(said);
    expect([...to.state.principals.keys()]).toEqual(["admin"]);
    expect(await to.outcome(boss, "keyAdd", { principal: "admin" })).toMatch(said);
    expect([...to.state.keys.values()].filter(({ revokedAt }) => revokedAt === 0)).toEqual([]);
    const quota = [{ quota: "tokens", limit: 5n }];
    expect(await to.outcome(boss, "principalQuota", { name: "admin", quota })).toMatch(said);
    expect(to.state.principals.get("admin")?.quota ?? {}).toEqual({});
  });
});

describe("a key with an end", () => {
  it("ends who lives by it soon after the wall clock stepped past its end", async () => {
    const { to, key, over } = world();
    const day = 86_400_000;
    const id = await key({ ttlMs: BigInt(day) });
    const pid = to.process({ key: id });
    to.pass(30 * SECOND);
    expect(over(pid)).toBeUndefined();
    to.wall += 2 * day;
    to.pass(30 * SECOND);
    expect(over(pid)).toBe(`the key ${id} has expired`);
  });

  it("ends when it does, whatever other keys there are", async () => {
    const { to, boss, key, over } = world();
    const [long, short] = [await key({ ttlMs: 20_000n }), await key({ ttlMs: 1000n })];
    const gone = await key({ ttlMs: 10n });
    await to.outcome(boss, "keyRevoke", { id: gone });
    const [a, b] = [to.process({ key: long }), to.process({ key: short })];
    to.pass(SECOND);
    expect([over(a), over(b)]).toEqual([undefined, `the key ${short} has expired`]);
    to.pass(19 * SECOND);
    expect(over(a)).toBe(`the key ${long} has expired`);
  });
});
