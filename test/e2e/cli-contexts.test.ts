/** `contix ctx` and `contix free`, as a user meets them. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Os } from "../../syscalls/index.js";
import { connect } from "../../syscalls/index.js";
import { Bench } from "./cli-runner.js";

let bench: Bench;
let os: Os;
beforeAll(async () => {
  bench = await Bench.open();
  const pages = ["--page-memory", "1MiB", "--swap", "1MiB", "--eviction", "agent"];
  await bench.ok(["up", "--driver", "fake", ...pages, "--speculate", "4"]);
  os = await connect({ home: bench.home });
});
afterAll(async () => {
  await os.close();
  await bench[Symbol.asyncDispose]();
});

it("ctx: fork, show, snapshot, restore and rm, by id, whoever holds it", async () => {
  const ctx = await os.ctx.create();
  await ctx.append("Once upon a time");
  const fork = (await bench.ok(["ctx", "fork", ctx.cid, "--length", "4"])).trim();
  expect(fork).toMatch(/^n1\.\d+$/);
  expect(await bench.ok(["ctx", "show", fork])).toMatch(/^tokens +4 of .*: 4 given, 0 generated$/m);
  const file = join(bench.root, "a.ctx");
  await bench.ok(["ctx", "snapshot", ctx.cid, "-o", file]);
  const restored = (await bench.ok(["ctx", "restore", file, "--ttl", "600"])).trim();
  expect(await os.ctx.stat(restored)).toMatchObject({ length: 16, owner: null, ttlMs: 600_000 });
  const table = await bench.ok(["ctx", "ls"]);
  expect(table).toContain(`fork of ${ctx.cid}`);
  expect(table).not.toContain("\u001b");
  const listed = JSON.parse(await bench.ok(["ctx", "ls", "--json"]));
  expect(listed.map(({ cid }: { cid: string }) => cid)).toEqual([ctx.cid, fork, restored]);
  await bench.ok(["ctx", "rm", fork, restored, ctx.cid]);
  expect(await bench.ok(["ctx", "ls"])).toBe("there are no contexts\n");
});

it("ctx: says what is wrong with a file, or an id", async () => {
  const file = join(bench.root, "b.ctx");
  const ctx = await os.ctx.create();
  await ctx.append("text");
  await bench.ok(["ctx", "snapshot", ctx.cid, "-o", file]);
  writeFileSync(file, readFileSync(file).subarray(0, 50));
  const cut = await bench.run(["ctx", "restore", file]);
  expect([cut.code, cut.stderr]).toEqual([1, expect.stringMatching(/EINVAL.*truncated: 50 of/)]);
  const gone = await bench.run(["ctx", "show", "n1.999"]);
  expect([gone.code, gone.stderr]).toEqual([1, expect.stringMatching(/ENOENT.*n1\.999/)]);
  const zebra = await bench.run(["ctx", "rm", ctx.cid, "zebra"]);
  expect([zebra.code, zebra.stderr]).toEqual([
    2,
    expect.stringContaining("zebra is no context's id"),
  ]);
  // Nothing was done.
  await ctx.close();
});

it("free: tables, and JSON for scripts", async () => {
  await using ctx = await os.ctx.create();
  await ctx.append("text");
  await ctx.generate({ maxTokens: 2 });
  const tables = await bench.ok(["free"]);
  for (const tier of ["slots +1", "memory +\\d", "swap +\\d"]) {
    expect(tables).toMatch(new RegExp(`^fake +${tier}`, "m"));
  }
  const wrong = await bench.run(["up", "--home", "/nowhere", "--eviction", "best"]);
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("lru, cost, agent")]);
  const { holders } = JSON.parse(await bench.ok(["free", "--json", "-n", "1"]));
  expect(holders).toMatchObject([{ pid: os.pid, contexts: 1 }]);
});
