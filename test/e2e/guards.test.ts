/** Quotas, asking before and the audit, of a real daemon with real attachments. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { auditDirectory, auditFile } from "../../kernel/cap/audit/files.js";
import { verifyAudit } from "../../kernel/cap/audit/verify.js";
import { attach, start, until } from "../support/kernels.js";
import { RawClient } from "../support/raw-client.js";

it("a call that asks survives a lost stream, runs once, and is in the log; an edited log is found", async () => {
  const kernel = await start();
  await using os = await kernel.connect();
  await using target = await kernel.connect();
  let heard = 0;
  target.on("USR1", () => heard++);
  const agent = await attach(kernel);
  const welcome = await agent.welcome();
  if (!welcome) throw new Error("no welcome");
  const { pid, run, resumeToken } = welcome;
  const on = await os.cap.open("process", target.pid);
  const to = `n1.${pid & ((1n << 52n) - 1n)}`;
  const { handle } = await os.cap.grant(on, { to, rights: ["signal"], ask: { pid: os.pid } });
  agent.call(1n, { $case: "kill", value: { pid: 0n, signal: "USR1", group: false } }, { handle });
  agent.call(
    2n,
    { $case: "kill", value: { pid: 0n, signal: "KILL", group: false } },
    { handle: 99 },
  );
  expect(await agent.errorOf(2n)).toBe("EBADF");
  for await (const question of os.cap.ask.questions()) {
    expect(question).toMatchObject({ pid: to, call: "proc.kill", object: `process ${target.pid}` });
    agent.break();
    await os.cap.ask.allow(question.id);
    break;
  }
  const again = new RawClient(kernel.address);
  again.hello("", { pid, run, resumeToken });
  await again.welcome();
  // The same call by its name: the first result, and no second signal.
  again.call(1n, { $case: "kill", value: { pid: 0n, signal: "USR1", group: false } }, { handle });
  expect((await again.reply(1n))?.result?.$case).toBe("kill");
  await until(() => heard > 0);
  await target.sys.uname();
  expect(heard).toBe(1);
  again.close();

  const directory = auditDirectory(kernel.home);
  const path = auditFile(directory, 1);
  const calls = readFileSync(path, "utf8").match(/"call":"[^"]+"/g) ?? [];
  const words = calls.map((text) => text.slice(8, -1));
  expect(words.filter((word) => word === "ask.asked" || word === "ask.answered")).toHaveLength(2);
  expect(readFileSync(path, "utf8")).toMatch(/"call":"proc.kill".*"result":"EBADF"/);
  expect((await verifyAudit({ directory })).findings).toEqual([]);
  writeFileSync(path, readFileSync(path, "utf8").replace('"result":"EBADF"', '"result":"EBUSY"'));
  expect((await verifyAudit({ directory })).findings).toHaveLength(1);
});

it("a principal's quotas are its own, shown, and kept over a change", async () => {
  const kernel = await start();
  await using os = await kernel.connect();
  await os.principals.add("alice", { quota: { tokens: 60, processes: 1 } });
  const { key } = await os.principals.addKey("alice");
  await using alice = await kernel.connect({ token: key });
  const { usage } = await alice.llm.generate("one two", { maxTokens: 4, ignoreEos: true });
  expect(usage.left).toEqual({ tokens: 60 - usage.promptTokens - 4, processes: 0 });
  await expect(alice.llm.generate("one", { maxTokens: 80 })).rejects.toMatchObject({
    code: "EDQUOT",
  });
  await expect(kernel.connect({ token: key })).rejects.toMatchObject({ code: "EAGAIN" });
  await os.principals.setQuota("alice", { requestsPerSecond: 1 });
  const ends: Promise<unknown>[] = [1, 2, 3].map(() => alice.sys.uname());
  const said = (await Promise.allSettled(ends)).map(({ status }) => status);
  expect(said).toEqual(["fulfilled", "rejected", "rejected"]);
  const info = (await os.principals.list()).find(({ name }) => name === "alice");
  expect(info?.quota).toEqual({ requestsPerSecond: 1 });
});
