import { expect } from "vitest";
import { ClientFrame, Syscall } from "../../../proto/gen/contix/v1/kernel.js";
import { showId } from "../../../syscalls/ids.js";
import { DoorClient } from "../../support/door-client.js";
import { bytes, type Case, fails, NOBODY, text } from "./case.js";

const refused = (name: string, error: string, hello: object): Case => [
  `hello, ${name}: ${error}`,
  async (_os, door) => {
    await expect(DoorClient.open(door, hello)).rejects.toMatchObject({ code: error });
  },
];

const raw = (name: string, error: string, frame: Uint8Array): Case => [
  `a frame that is ${name}: ${error}, and the link goes on`,
  async (os) => {
    os.sendBytes(frame);
    expect(await os.errorOf(0n)).toBe(error);
    await os.ok("uname");
  },
];

const call = (over: object) =>
  ClientFrame.encode({ frame: { $case: "call", value: Syscall.fromPartial(over) } }).finish();

/** Typed failures. */
export const ERRORS: readonly Case[] = [
  refused("a wrong token", "EACCES", { token: "wrong" }),
  refused("no token", "EACCES", { token: "" }),
  refused("another ABI", "EPROTO", { abi: 2 }),
  refused("a run that is not its own", "EACCES", { token: "", pid: 1n, run: 1, resumeToken: "x" }),
  fails("ctx.append on no handle", "EBADF", (os) =>
    os.ask("ctxAppend", { input: text("x") }, { handle: 99 }),
  ),
  fails("ctx.truncate on no handle", "EBADF", (os) =>
    os.ask("ctxTruncate", { length: 0 }, { handle: 98 }),
  ),
  fails("sys.uname with a handle", "EINVAL", (os) => os.ask("uname", {}, { handle: 7 })),
  fails("ctx.stat of nothing", "ENOENT", (os) => os.ask("ctxStat", { cid: NOBODY })),
  fails("ctx.open of nothing", "ENOENT", (os) => os.ask("ctxOpen", { cid: NOBODY })),
  fails("ctx.restore of garbage", "EINVAL", (os) =>
    os.ask("ctxRestore", { snapshot: bytes("no") }),
  ),
  fails("proc.kill of nobody", "ESRCH", (os) => os.ask("kill", { pid: NOBODY })),
  fails("proc.wait without a child", "ECHILD", (os) => os.ask("wait", { pid: 0n })),
  fails("proc.nice out of range", "EINVAL", (os) =>
    os.ask("nice", { pid: os.welcome.pid, nice: 99 }),
  ),
  fails("proc.spawn of nothing", "EINVAL", (os) => os.ask("spawn", { argv: [] })),
  fails("ipc.send to nobody", "ESRCH", (os) => os.ask("send", { pid: NOBODY, body: bytes("x") })),
  fails("a call that is empty", "ENOSYS", async (os) => {
    os.sendBytes(call({ seq: 500n }));
    return os.errorOf(500n);
  }),
  fails("seq 0", "EINVAL", async (os) => {
    os.call("uname", {}, { seq: 0n });
    return os.errorOf(0n);
  }),
  raw("empty", "EPROTO", new Uint8Array()),
  raw(
    "truncated",
    "EPROTO",
    call({ seq: 5n, call: { $case: "send", value: { body: bytes("abcdefgh") } } }).slice(0, -3),
  ),
  raw("of an unknown kind", "EPROTO", Uint8Array.of(0x7a, 0x01, 0x00)),
  raw(
    "a second hello",
    "EPROTO",
    ClientFrame.encode(
      ClientFrame.fromPartial({ frame: { $case: "hello", value: { abi: 1 } } }),
    ).finish(),
  ),
  raw(
    "a string that is no UTF-8",
    "EPROTO",
    Uint8Array.of(0x12, 9, 0x9a, 1, 4, 0x0a, 2, 0xff, 0xfe, 0x08, 1),
  ),
  [
    "a message beyond what it may have is refused, and the link goes on",
    async (os) => {
      const outcome = await os.ask("send", { pid: os.welcome.pid, body: Buffer.alloc(2 << 20) });
      expect(["EMSGSIZE", "E2BIG", "EDQUOT"]).toContain(outcome);
      await os.ok("uname");
    },
  ],
  [
    "errors name what was wrong and what to do",
    async (os) => {
      const reply = await os.reply(os.call("nice", { pid: os.welcome.pid, nice: 99 }));
      expect(reply.result).toMatchObject({
        $case: "error",
        value: { argument: "nice", name: "EINVAL" },
      });
    },
  ],
  [
    "an address in a message is shown as users know it",
    async (os) => {
      expect(showId(os.welcome.pid)).toMatch(/^n1\.\d+$/);
    },
  ],
];
