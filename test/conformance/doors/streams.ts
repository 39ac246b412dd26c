import { expect } from "vitest";
import { connect } from "../../../syscalls/index.js";
import { DoorClient } from "../../support/door-client.js";
import { bytes, type Case, endless, prompt } from "./case.js";

/** Streams, credits, cancels, deadlines, repetitions and cuts. */
export const STREAMS: readonly Case[] = [
  [
    "chunks come before the reply and are its text",
    async (os) => {
      const seq = os.call(
        "generate",
        { input: prompt("x"), maxTokens: 6, stream: true, ignoreEos: true },
        { credit: 1000 },
      );
      const reply = await os.reply(seq);
      const said = os.received
        .map((f) => (f.$case === "chunk" && f.value.seq === seq ? f.value.text : ""))
        .join("");
      expect(reply.result).toMatchObject({ $case: "generate" });
      expect(said.length).toBeGreaterThan(0);
    },
  ],
  [
    "without credit a stream waits, others go on, and a grant lets it end",
    async (os) => {
      const seq = os.call(
        "generate",
        { input: prompt("x"), maxTokens: 40, stream: true, ignoreEos: true },
        { credit: 1 },
      );
      await os.find((f) => (f.$case === "chunk" && f.value.seq === seq ? true : undefined));
      await os.ok("sleep", { us: 30_000n });
      expect(os.chunks(seq)).toBe(1);
      os.send({ $case: "credit", value: { seq, n: 1000 } });
      expect((await os.reply(seq)).result?.$case).toBe("generate");
    },
  ],
  [
    "cancel ends a stream",
    async (os) => {
      const seq = os.call("generate", { ...endless, stream: true }, { credit: 2 });
      await os.find((f) => (f.$case === "chunk" ? true : undefined));
      os.send({ $case: "cancel", value: { seq } });
      expect(await os.errorOf(seq)).toBe("ECANCELED");
    },
  ],
  [
    "cancel ends a wait",
    async (os) => {
      const seq = os.call("recv", {});
      os.send({ $case: "cancel", value: { seq } });
      expect(await os.errorOf(seq)).toBe("ECANCELED");
    },
  ],
  [
    "a cancel or a credit for nothing is nothing",
    async (os) => {
      os.send({ $case: "cancel", value: { seq: 77n } });
      os.send({ $case: "credit", value: { seq: 77n, n: 5 } });
      await os.ok("uname");
    },
  ],
  [
    "a deadline ends a wait",
    async (os) => {
      expect(await os.ask("recv", {}, { timeoutUs: 20_000n })).toBe("ETIMEDOUT");
    },
  ],
  [
    "a deadline of a microsecond is past on arrival",
    async (os) => {
      expect(await os.ask("recv", {}, { timeoutUs: 1n })).toBe("ETIMEDOUT");
    },
  ],
  [
    "a repeated call has its first result, and its effect once",
    async (os) => {
      const seq = os.call("send", { pid: os.welcome.pid, body: bytes("once") });
      const first = await os.reply(seq);
      const from = os.received.length;
      os.call("send", { pid: os.welcome.pid, body: bytes("once") }, { seq });
      expect(await os.reply(seq, from)).toEqual(first);
      await os.ok("recv");
      expect(await os.ask("recv", {}, { timeoutUs: 20_000n })).toBe("ETIMEDOUT");
    },
  ],
  [
    "another call under the same seq is EEXIST",
    async (os) => {
      const seq = os.call("send", { pid: os.welcome.pid, body: bytes("a") });
      await os.reply(seq);
      const from = os.received.length;
      os.call("send", { pid: os.welcome.pid, body: bytes("b") }, { seq });
      expect(await os.errorOf(seq, from)).toBe("EEXIST");
    },
  ],
  [
    "an acknowledged seq is not taken again",
    async (os) => {
      const seq = os.call("send", { pid: os.welcome.pid, body: bytes("a") });
      await os.reply(seq);
      os.send({ $case: "ack", value: { ackedThrough: seq, acked: [] } });
      await os.ok("uname");
      const from = os.received.length;
      os.call("send", { pid: os.welcome.pid, body: bytes("a") }, { seq });
      expect(await os.errorOf(seq, from)).toBe("EEXIST");
    },
  ],
  [
    "a run that was cut is resumed, and what it asked is answered",
    async (os, door) => {
      const { pid, run, resumeToken } = os.welcome;
      const seq = os.call("recv", {});
      await os.ok("uname");
      os.cut();
      const again = await DoorClient.open(door, { token: "", pid, run, resumeToken });
      expect(again.welcome).toMatchObject({ pid, run });
      const other = await DoorClient.open(door);
      await other.ok("send", { pid, body: bytes("late") });
      again.call("recv", {}, { seq });
      expect(
        new TextDecoder().decode(
          (again.outcome<"recv">(await again.reply(seq)) as { body: Uint8Array }).body,
        ),
      ).toBe("late");
      await Promise.all([again.close(), other.close()]);
    },
  ],
  [
    "who attaches again takes the run from the former link",
    async (os, door) => {
      const { pid, run, resumeToken } = os.welcome;
      const again = await DoorClient.open(door, { token: "", pid, run, resumeToken });
      await os.over();
      await again.ok("uname");
      await again.close();
    },
  ],
  [
    "fifty calls at once are all answered",
    async (os) => {
      const seqs = Array.from({ length: 50 }, () => os.call("uname", {}));
      for (const seq of seqs) expect((await os.reply(seq)).result?.$case).toBe("uname");
    },
  ],
  [
    "ends in order are seen at once",
    async (os, door) => {
      const pid = os.welcome.pid;
      await os.close();
      const other = await DoorClient.open(door);
      for (;;) {
        const { procs: processes } = await other.ok("ps");
        if (!processes.some((p) => p.pid === pid)) break;
      }
      await other.close();
    },
  ],
  [
    "the SDK goes on with its run after a break of the kernel's side",
    async (_os, door) => {
      const sdk = await connect({ ...door, ...door.tls, name: "sdk" });
      expect(sdk.run).toBe(1);
      expect(sdk.pid).toMatch(/^n1\./);
      await sdk.close();
    },
  ],
];
