/** What the kernel tells over NATS, who may hear it, and how a right that ends ends a connection. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { auditDirectory, auditFile, lastHeadFile } from "../../kernel/cap/audit/files.js";
import { verifyAudit } from "../../kernel/cap/audit/verify.js";
import { connect, type Os } from "../../syscalls/index.js";
import { startTestKernel, type TestKernel } from "../../syscalls/testing.js";
import type { Door } from "../support/door-client.js";
import { until } from "../support/kernels.js";
import { type PlainClient, plainNats } from "../support/nats-client.js";

let kernel: TestKernel;
let admin: Os;
let nats: string;
beforeAll(async () => {
  kernel = await startTestKernel({ flags: ["--nats", "embedded"] });
  admin = await kernel.connect();
  for (const name of ["alice", "bob"]) await admin.principals.add(name);
  const facts = JSON.parse(readFileSync(join(kernel.home, "contixd.json"), "utf8"));
  nats = facts.addresses.at(-1);
}, 120_000);
afterAll(async () => {
  await admin?.close();
  await kernel?.stop();
});

function door(token: string): Door {
  return { name: "nats", address: nats, token, tls: {} };
}

type Told = Readonly<Record<string, unknown>> & { readonly event: string };

/** Listens; resolves when the server knows that it does. */
async function listen({ nc }: PlainClient, subject: string): Promise<Told[]> {
  const heard: Told[] = [];
  nc.subscribe(subject, {
    callback: (error, message) => {
      if (error === null) heard.push({ ...(message.json() as Told), subject: message.subject });
    },
  });
  await nc.flush();
  return heard;
}

const names = (heard: readonly Told[]): string[] => heard.map(({ event }) => event);

test("a principal hears what befalls its own, an administrator all, and numbers show every gap", async () => {
  const { key, id } = await admin.principals.addKey("alice");
  const { key: bobs } = await admin.principals.addKey("bob");
  const watcher = await plainNats(door(key), "watcher");
  const root = await plainNats(door(kernel.token), "root");
  const own = await listen(watcher, "ctx.events.n1.alice.>");
  const all = await listen(root, "ctx.events.n1.>");
  // What is not its own it may not even ask for.
  await listen(watcher, "ctx.events.n1.>");
  await listen(watcher, "ctx.events.n1.bob.>");
  await listen(watcher, "ctx.audit.n1.head");
  await until(() => watcher.refused.filter((line) => /permission/i.test(line)).length >= 3);

  const bob = await kernel.connect({ token: bobs });
  const bobsContext = await bob.ctx.create();
  const alice = await kernel.connect({ token: key });
  const context = await alice.ctx.create();
  await (await context.fork()).close();
  await expect(alice.proc.kill(bob.pid)).rejects.toMatchObject({ code: "EPERM" });
  await admin.principals.revokeKey((await admin.principals.addKey("alice")).id);
  await bobsContext.close();
  await alice.close();
  await bob.close();

  await until(() => names(own).includes("process.over"));
  const wanted = ["process.born", "process.attached", "context.opened", "context.opened"];
  const then = ["context.closed", "call.denied", "key.added", "key.revoked", "context.closed"];
  expect(names(own)).toEqual([...wanted, ...then, "process.over"]);
  expect(own.map(({ seq }) => Number(seq) - Number(own[0]?.seq))).toEqual(own.map((_, i) => i));
  expect(own.find(({ event }) => event === "call.denied")).toMatchObject({
    ...{ principal: "alice", node: "n1", missed: 0, subject: "ctx.events.n1.alice.call.denied" },
    ...{ pid: alice.pid, call: "proc.kill", result: "EPERM" },
  });
  expect(own.at(-1)).toMatchObject({ pid: alice.pid, code: 0, cause: "exit" });
  expect(new Set(own.map(({ principal }) => principal))).toEqual(new Set(["alice"]));
  await until(() => all.filter(({ event }) => event === "process.over").length >= 2);
  expect(all.map(({ principal }) => principal)).toContain("bob");

  const { driverPid } = await admin.llm.model();
  process.kill(driverPid ?? 0, "SIGKILL");
  await until(() => names(all).includes("model.up"));
  expect(names(all.filter(({ subject }) => /_kernel/.test(String(subject))))).toEqual([
    "model.lost",
    "model.up",
  ]);

  // Revocation cuts the connection at once, and there is no coming back.
  const cut = watcher.nc.closed();
  await admin.principals.revokeKey(id);
  await cut;
  await expect(plainNats(door(key), "again")).rejects.toThrow(/authorization/i);
  expect(await root.call("uname")).toBe("ok");
  await root.nc.close();
}, 60_000);

test("whoever gives his namespace up hears no more: he is cut off, and comes back with less", async () => {
  const one = await plainNats(door(kernel.token), "less");
  const heard = await listen(one, "ctx.events.n1.>");
  const cut = one.nc.closed();
  // The first handle of one that came with a token is his namespace.
  one.call("capClose", {}, 1).catch(() => undefined);
  await cut;
  expect(names(heard)).not.toContain("process.over");
  await using os = await connect({ address: nats, token: kernel.token });
  const before = os.pid;
  await os.cap.close(1);
  await expect(os.proc.ps()).rejects.toMatchObject({ code: "EPERM" });
  expect((await os.sys.uname()).node).toBe("n1");
  expect(os.pid).toBe(before);
});

test("heads that another machine heard find out a log that was cut off and one that was rewritten", async () => {
  const heads = join(kernel.home, "elsewhere.jsonl");
  const contix = fileURLToPath(new URL("../../dist/cli/contix.js", import.meta.url));
  const env = { ...process.env, CONTIX_TOKEN: kernel.token, CONTIX_ADDRESS: nats };
  const stdio = ["ignore", openSync(heads, "a"), "inherit"] as const;
  const follower = spawn(process.execPath, [contix, "audit", "heads", "--follow"], {
    ...{ env, stdio: [...stdio] },
  });
  const lines = (): string[] => readFileSync(heads, "utf8").split("\n").slice(0, -1);
  await until(async () => {
    await using _ = await admin.ctx.create();
    return lines().length >= 2;
  });
  // The server goes, and is started again: the follower comes back, and hears the last head.
  process.kill(Number(readFileSync(join(kernel.home, "nats/server.pid"), "utf8")), "SIGKILL");
  const before = lines().length;
  await until(async () => {
    await using _ = await admin.ctx.create();
    return lines().length > before;
  });
  follower.kill("SIGINT");
  await once(follower, "close");
  const exported = readFileSync(heads, "utf8");
  const directory = auditDirectory(kernel.home);
  expect(await verifyAudit({ directory, heads: exported })).toMatchObject({ findings: [] });
  const path = auditFile(directory, 1);
  const whole = readFileSync(path);
  const last = JSON.parse(lines().at(-1) ?? "").n as number;
  // Cut off at a head before the last one that was heard, by somebody who knows of the home's
  // own copy of the last head too: the log alone looks whole.
  const kept = whole.toString("utf8").split("\n").slice(0, -1);
  const end = kept.findLastIndex((line) => line.includes('"sig"') && JSON.parse(line).n < last);
  writeFileSync(path, `${kept.slice(0, end + 1).join("\n")}\n`);
  const copy = readFileSync(lastHeadFile(directory));
  writeFileSync(lastHeadFile(directory), `${kept[end]}\n`);
  expect((await verifyAudit({ directory })).findings).toEqual([]);
  const { findings } = await verifyAudit({ directory, heads: exported });
  expect(findings.map(({ what }) => what)).toEqual([
    expect.stringContaining(`head ${last} was exported`),
  ]);
  writeFileSync(path, whole);
  writeFileSync(lastHeadFile(directory), copy);
}, 60_000);
