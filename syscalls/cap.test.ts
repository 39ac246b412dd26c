/** What `os.cap`, `os.principals` and the rights of children send, and how they show answers. */
import { expect } from "vitest";
import { CapListResult } from "../proto/gen/contix/v1/cap.js";
import { test } from "./testing-support/attached.js";
import type { FakeKernel } from "./testing-support/fake-kernel.js";

const id = (counter: number): bigint => (1n << 52n) | BigInt(counter);
const last = (kernel: FakeKernel) => ({
  handle: kernel.calls.at(-1)?.handle,
  args: kernel.calls.at(-1)?.call?.value,
});

test("a grant is a handle's, weaker, and can be taken back", async ({ kernel, os }) => {
  kernel.on("capGrant", (call, _, session) =>
    session.reply(call, "capGrant", { handle: 4, id: 9n }),
  );
  kernel.on("capRevoke", (call, _, session) => session.reply(call, "capRevoke", { revoked: 2 }));
  const rights = ["read", "call"] as const;
  const grant = await os.cap.grant(7, { to: "n1.5", rights, ttlMs: 1.5, outlives: true });
  expect(grant).toEqual({ handle: 4, id: 9n });
  const args = { pid: id(5), rights: 5, ttlUs: 1500n, outlives: true, ask: undefined };
  expect(last(kernel)).toEqual({ handle: 7, args });
  const ask = { principal: "boss", timeoutMs: 1000 };
  await os.cap.grant({ handle: 8 }, { to: "n1.5", ask });
  expect(last(kernel)).toMatchObject({
    handle: 8,
    args: { rights: 0, ask: { principal: "boss", pid: 0n, timeoutUs: 1_000_000n } },
  });
  expect(await os.cap.revoke(7, grant.id)).toBe(2);
  expect(last(kernel)).toEqual({ handle: 7, args: { id: 9n } });
});

test("what can not be a grant is said where it was made", async ({ os }) => {
  await expect(os.cap.grant(0, { to: "n1.5" })).rejects.toThrow(
    /handle: expected a whole number, 1/,
  );
  await expect(os.cap.grant(1, { to: "five" })).rejects.toThrow(/to: expected an id/);
  const rights = ["reed"] as unknown as ["read"];
  await expect(os.cap.grant(1, { to: "n1.5", rights })).rejects.toThrow(
    /expected some of read, write/,
  );
  await expect(os.cap.grant(1, { to: "n1.5", ttlMs: -1 })).rejects.toThrow(/ttlMs/);
});

test("a handle that was opened is closed with its block, once", async ({ kernel, os }) => {
  kernel.on("capOpen", (call, _, session) =>
    session.reply(call, "capOpen", { handle: 3, rights: 2 }),
  );
  kernel.on("capClose", (call, _, session) => session.reply(call, "capClose", {}));
  {
    await using me = await os.cap.open("process", "n1.9", { rights: ["write"] });
    const args = { object: "process", id: id(9), name: "", rights: 2 };
    expect(last(kernel)).toEqual({ handle: 0, args });
    await me.close();
  }
  await os.cap.open("model", "tiny");
  expect(last(kernel).args).toMatchObject({ object: "model", id: 0n, name: "tiny", rights: 0 });
  expect(kernel.calls.filter(({ call }) => call?.$case === "capClose")).toHaveLength(1);
});

test("handles are listed by what they name and what they allow", async ({ kernel, os }) => {
  const granted = [{ id: 5n, pid: id(6), handle: 2, rights: 1 }];
  const asked = { principal: "", pid: id(6), timeoutUs: 5000n };
  const handles = [
    { handle: 1, object: "principal", name: "alice", rights: 63, ask: asked },
    { handle: 2, object: "context", id: id(4), rights: 3, expiresUs: 2500n, granted },
    {
      handle: 3,
      object: "model",
      name: "tiny",
      rights: 4,
      ask: { ...asked, principal: "ops", pid: 0n },
    },
  ];
  kernel.on("capList", (call, _, session) =>
    session.reply(call, "capList", CapListResult.fromPartial({ handles })),
  );
  const [first, second, third] = await os.cap.list();
  expect([first, second, third].map((each) => each?.ask)).toEqual([
    { pid: "n1.6", timeoutMs: 5 },
    null,
    { principal: "ops", timeoutMs: 5 },
  ]);
  expect(first).toMatchObject({ name: "alice", expiresMs: null, granted: [] });
  expect(first?.rights).toEqual(["read", "write", "call", "signal", "grant", "admin"]);
  expect(second).toMatchObject({ name: "n1.4", rights: ["read", "write"], expiresMs: 2.5 });
  expect(second?.granted).toEqual([{ id: 5n, pid: "n1.6", handle: 2, rights: ["read"] }]);
});

test("a child is passed handles, and may have no namespace", async ({ kernel, os }) => {
  kernel.on("spawn", (call, _, session) =>
    session.reply(call, "spawn", { pid: id(5), handle: 3, handles: [1, 2] }),
  );
  const child = await os.proc.spawn(["a"], {
    sandbox: true,
    capabilities: [
      { handle: 7, rights: ["read"] },
      { handle: { handle: 8 }, outlives: true },
    ],
  });
  expect([child.pid, child.handle, child.handles]).toEqual(["n1.5", 3, [1, 2]]);
  expect(last(kernel).args).toMatchObject({
    sandbox: true,
    capabilities: [
      { handle: 7, rights: 1, outlives: false },
      { handle: 8, rights: 0, outlives: true },
    ],
  });
});

test("keys have dates, and null for what never comes", async ({ kernel, os }) => {
  kernel.on("keyAdd", (call, _, session) =>
    session.reply(call, "keyAdd", { key: "ctx_a_b", id: "a" }),
  );
  const key = { id: "a", principal: "alice", name: "", scopes: ["*"], processes: 1 };
  const times = { createdMs: 1000n, expiresMs: 0n, revokedMs: 2000n };
  kernel.on("keyList", (call, _, session) =>
    session.reply(call, "keyList", { keys: [{ ...key, ...times }] }),
  );
  expect(await os.principals.addKey("alice", { ttlMs: 5 })).toEqual({ key: "ctx_a_b", id: "a" });
  expect(last(kernel).args).toEqual({ principal: "alice", name: "", scopes: [], ttlMs: 5n });
  expect(await os.principals.keys()).toEqual([
    { ...key, createdAt: new Date(1000), expiresAt: null, revokedAt: new Date(2000) },
  ]);
});
