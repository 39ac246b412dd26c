/** `contix principal` and `contix key`, and what agents with keys may do, as users meet them. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Reply } from "../../proto/gen/contix/v1/kernel.js";
import { connect, type Os } from "../../syscalls/index.js";
import { syscall, unary } from "../support/raw-client.js";
import { Bench } from "./cli-runner.js";

let bench: Bench;
let admin: Os;
const up = async (): Promise<void> => {
  await bench.ok(["up", "--driver", "fake"]);
  admin = await connect({ home: bench.home });
};
beforeAll(async () => {
  bench = await Bench.open();
  await up();
});
afterAll(async () => {
  await admin.close();
  await bench[Symbol.asyncDispose]();
});

const withKey = (token: string) => connect({ home: bench.home, token });
const refusal = (code: string, said: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(said) });

it("makes principals and keys, shows a key once, and says what is wrong", async () => {
  await bench.ok(["principal", "add", "alice"]);
  const { stdout, stderr } = await bench.run(["key", "add", "alice", "--expires", "30d"]);
  expect(stdout).toMatch(/^ctx_[a-z0-9]{12}_[\w-]{43}\n$/);
  expect(stderr).toMatch(/shown this once/);
  const table = await bench.ok(["key", "ls", "alice"]);
  expect(table).toMatch(/alice +all but admin +0 +good until 20/);
  expect(table).not.toContain(stdout.trim().slice(17));
  const file = join(bench.home, "principals.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, "utf8")).not.toContain(stdout.trim().slice(17));
  expect(await bench.run(["key", "add", "nobody"])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/ENOENT: there is no principal nobody/),
  });
  expect(await bench.run(["key", "add", "alice", "--scope", "lmm"])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/EINVAL: there is no scope "lmm"; one of .*llm/),
  });
  expect(await bench.run(["key", "add", "alice", "--expires", "soon"])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/must be a time such as/),
  });
});

it("keeps two principals apart, and a key to its scopes", async () => {
  await bench.ok(["principal", "add", "bob"]);
  const keys = [
    (await bench.ok(["key", "add", "alice"])).trim(),
    (await bench.ok(["key", "add", "bob", "--scope", "llm", "--scope", "ctx"])).trim(),
  ] as const;
  await using alice = await withKey(keys[0]);
  await using bob = await withKey(keys[1]);
  expect([alice.principal, bob.principal]).toEqual(["alice", "bob"]);
  await using ctx = await alice.ctx.create();
  await ctx.append("a secret");
  await expect(bob.ctx.stat(ctx.cid)).rejects.toEqual(refusal("EPERM", /another principal/));
  await expect(bob.ctx.close(ctx.cid)).rejects.toEqual(refusal("EPERM", /another principal/));
  expect(await bob.ctx.list({ all: true })).toEqual([]);
  await expect(bob.proc.ps()).rejects.toEqual(refusal("EPERM", /needs the scope proc/));
  await expect(alice.principals.list()).rejects.toEqual(refusal("EPERM", /scope admin/));
  expect((await admin.ctx.list({ all: true })).map(({ cid }) => cid)).toEqual([ctx.cid]);
  const [good, bad] = await Promise.all(
    [keys[0], `${keys[0].slice(0, -4)}AAAA`].map((token) =>
      unary(
        `unix://${bench.home}/contixd.sock`,
        token,
        syscall(1n, { $case: "ps", value: { all: false } }),
      ),
    ),
  );
  const { result } = good as Reply;
  const names = result?.$case === "ps" ? result.value.procs.map((p) => p.principal) : [];
  expect(new Set(names)).toEqual(new Set(["alice"]));
  expect(bad).toMatchObject({ details: expect.stringMatching(/^EACCES/) });
});

it("a child in a sandbox reaches what it was passed, with those rights, until it is taken back", async () => {
  const key = (await bench.ok(["key", "add", "alice"])).trim();
  await using alice = await withKey(key);
  await using ctx = await alice.ctx.create();
  await ctx.append("four");
  const child = await alice.proc.spawn([process.execPath, "--input-type=module", "-e", CHILD], {
    sandbox: true,
    env: { SDK: new URL("../../dist/syscalls/index.js", import.meta.url).href },
    capabilities: [{ handle: ctx, rights: ["read"] }],
  });
  expect(child.handles).toEqual([1]);
  expect((await child.wait()).exitCode).toBe(0);
  const said = readFileSync(join(bench.home, "logs", `${child.pid}.log`), "utf8");
  expect(JSON.parse(said)).toEqual({ length: 4, write: "EPERM", id: "EPERM", make: "EPERM" });
  // A second process of Alice's is lent the context, and it is taken back.
  await using friend = await withKey(key);
  const grant = await alice.cap.grant(ctx, { to: friend.pid, rights: ["read"] });
  const lent = await friend.ctx.use(grant.handle);
  expect((await lent.stat()).length).toBe(4);
  await expect(lent.append("x")).rejects.toEqual(refusal("EPERM", /right to write is missing/));
  expect(await alice.cap.revoke(ctx)).toBe(1);
  await expect(lent.stat()).rejects.toEqual(refusal("EBADF", /revoked/));
});

const CHILD = `
  const { connect } = await import(process.env.SDK);
  const os = await connect();
  const code = (act) => act.then(() => "ok", (error) => error.code);
  const lent = await os.ctx.use(1);
  const { length } = await lent.stat();
  const write = await code(lent.append("more"));
  const id = await code(os.ctx.stat(lent.cid));
  const make = await code(os.ctx.create());
  console.log(JSON.stringify({ length, write, id, make }));
  await os.close();
`;

it("keys last beyond the daemon; rotation, revocation and removal end those who live by them", async () => {
  const one = (await bench.ok(["key", "add", "bob"])).trim();
  await admin.close();
  await bench.ok(["down"]);
  await up();
  const bob = await withKey(one);
  const asleep = expect(bob.time.sleep(600_000)).rejects.toThrow(/was revoked/);
  const [, id = ""] = one.split("_");
  const two = (await bench.ok(["key", "rotate", id])).trim();
  await asleep;
  await expect(withKey(one)).rejects.toEqual(refusal("EACCES", /is revoked/));
  const again = await withKey(two);
  const other = expect(again.time.sleep(600_000)).rejects.toThrow(/was revoked/);
  const ctx = await again.ctx.create();
  expect(await bench.ok(["key", "revoke", two])).toMatch(/revoked, 1 agent ended/);
  await other;
  await expect(admin.ctx.stat(ctx.cid)).rejects.toEqual(refusal("ENOENT", /no context/));
  expect(await bench.ok(["principal", "rm", "bob"])).toMatch(/^bob removed/);
  expect(await bench.ok(["principal", "ls"])).not.toContain("bob");
});
