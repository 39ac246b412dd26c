import { expect } from "vitest";
import { connect } from "../../../syscalls/index.js";
import { bytes, type Case, context, prompt } from "./case.js";

/** Calls that succeed, each with a look at its result. */
export const CALLS: readonly Case[] = [
  [
    "welcome: who am I",
    async (os) => {
      expect(os.welcome).toMatchObject({ abi: 1, run: 1, principal: "admin", node: "n1" });
      expect(os.welcome.resumeToken.length).toBeGreaterThan(20);
    },
  ],
  [
    "sys.uname",
    async (os) => {
      expect(await os.ok("uname")).toMatchObject({ abi: 1, node: "n1", driver: "fake" });
    },
  ],
  [
    "sys.stats",
    async (os) => {
      expect((await os.ok("stats")).syscalls).toBeGreaterThan(0n);
    },
  ],
  [
    "sys.free",
    async (os) => {
      expect(await os.ok("free")).toBeDefined();
    },
  ],
  [
    "llm.models",
    async (os) => {
      expect((await os.ok("models")).models.length).toBeGreaterThan(0);
    },
  ],
  [
    "llm.tokenize",
    async (os) => {
      expect((await os.ok("tokenize", { text: "some words" })).tokens.length).toBeGreaterThan(0);
    },
  ],
  [
    "llm.generate without a context, with its usage",
    async (os) => {
      const reply = await os.reply(
        os.call("generate", { input: prompt("hello"), maxTokens: 5, ignoreEos: true }),
      );
      expect(reply.usage?.generatedTokens).toBe(5);
    },
  ],
  [
    "ctx.create, ctx.append, ctx.stat",
    async (os) => {
      const { handle, cid } = await context(os);
      const stat = await os.ok("ctxStat", {}, { handle });
      expect(stat.cid).toBe(cid);
      expect(stat.given).toBeGreaterThan(0);
    },
  ],
  [
    "ctx.stat by cid",
    async (os) => {
      const { cid } = await context(os);
      expect((await os.ok("ctxStat", { cid })).cid).toBe(cid);
    },
  ],
  [
    "llm.generate on a context",
    async (os) => {
      const { handle } = await context(os);
      await os.ok("generate", { maxTokens: 3, ignoreEos: true }, { handle });
      expect((await os.ok("ctxStat", {}, { handle })).generated).toBe(3);
    },
  ],
  [
    "ctx.fork",
    async (os) => {
      const { handle, cid } = await context(os);
      const fork = await os.ok("ctxFork", {}, { handle });
      expect((await os.ok("ctxStat", {}, { handle: fork.handle })).from).toBe(cid);
    },
  ],
  [
    "ctx.truncate",
    async (os) => {
      const { handle } = await context(os);
      await os.ok("ctxTruncate", { length: 1 }, { handle });
      expect((await os.ok("ctxStat", {}, { handle })).length).toBe(1);
    },
  ],
  [
    "ctx.pin",
    async (os) => {
      const { handle } = await context(os);
      await os.ok("ctxPin", { pinned: true }, { handle });
      expect((await os.ok("ctxStat", {}, { handle })).pinned).toBe(true);
    },
  ],
  [
    "ctx.advise",
    async (os) => {
      const { handle } = await context(os);
      await os.ok("ctxAdvise", { need: "willneed" }, { handle });
    },
  ],
  [
    "ctx.give and ctx.open",
    async (os) => {
      const { handle, cid } = await context(os);
      await os.ok("ctxGive", { pid: 0n }, { handle });
      expect((await os.ok("ctxOpen", { cid })).cid).toBe(cid);
    },
  ],
  [
    "ctx.list",
    async (os) => {
      const { cid } = await context(os);
      const { contexts } = await os.ok("ctxList");
      expect(contexts.map((c) => c.cid)).toContain(cid);
    },
  ],
  [
    "ctx.snapshot and ctx.restore",
    async (os) => {
      const { handle } = await context(os);
      const { snapshot } = await os.ok("ctxSnapshot", {}, { handle });
      const again = await os.ok("ctxRestore", { snapshot });
      expect((await os.ok("ctxStat", {}, { handle: again.handle })).length).toBeGreaterThan(0);
    },
  ],
  [
    "ctx.close",
    async (os) => {
      const { handle } = await context(os);
      await os.ok("ctxClose", {}, { handle });
      expect(await os.ask("ctxStat", {}, { handle })).toBe("EBADF");
    },
  ],
  [
    "proc.ps shows the caller",
    async (os) => {
      const { procs: processes } = await os.ok("ps");
      expect(processes.map((p) => p.pid)).toContain(os.welcome.pid);
    },
  ],
  [
    "proc.nice",
    async (os) => {
      await os.ok("nice", { pid: os.welcome.pid, nice: 5 });
    },
  ],
  [
    "proc.spawn and proc.wait",
    async (os) => {
      const { pid } = await os.ok("spawn", { argv: [process.execPath, "-e", "process.exit(3)"] });
      expect(await os.ok("wait", { pid })).toMatchObject({ pid, exitCode: 3 });
    },
  ],
  [
    "proc.kill sends a signal over the door",
    async (os) => {
      await os.ok("kill", { pid: os.welcome.pid, signal: "USR1" });
      const name = await os.find((f) => (f.$case === "signal" ? f.value.name : undefined));
      expect(name).toBe("USR1");
    },
  ],
  [
    "ipc.send and ipc.recv",
    async (os) => {
      await os.ok("send", { pid: os.welcome.pid, body: bytes("hi"), topic: "t" });
      const mail = await os.ok("recv");
      expect(new TextDecoder().decode(mail.body)).toBe("hi");
    },
  ],
  [
    "time.sleep",
    async (os) => {
      await os.ok("sleep", { us: 1000n });
    },
  ],
  [
    "proc.exit ends the link in order",
    async (os) => {
      os.call("exit", {});
      await os.over();
      expect(os.ended?.inOrder).toBe(true);
    },
  ],
  [
    "the SDK: attach, stream, close",
    async (_os, door) => {
      const sdk = await connect({ ...door, ...door.tls, name: "sdk" });
      let said = "";
      for await (const part of sdk.llm.generate("hello", { maxTokens: 6 })) said += part;
      expect(said.length).toBeGreaterThan(0);
      await sdk.close();
    },
  ],
];
