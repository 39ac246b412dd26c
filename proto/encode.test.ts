import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { expect, it } from "vitest";
import { encodeMessage } from "./encode.js";
import { Reply, Syscall } from "./gen/contix/v1/kernel.js";

const mail = (bytes: Uint8Array) =>
  Syscall.fromPartial({
    seq: 7n,
    call: { $case: "send", value: { pid: 3n, body: Buffer.from(bytes) } },
  });

it("gives the bytes that a writer of its own would, one message after the other", () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 20 });
  fc.assert(
    fc.property(bodies, (all) => {
      const made = all.map((body) => encodeMessage(Syscall, mail(body)));
      const alone = all.map((body) => Syscall.encode(mail(body), new BinaryWriter()).finish());
      // Compared at the end: none was written over by the next.
      expect(made.map((b) => b.toString("hex"))).toEqual(
        alone.map((b) => Buffer.from(b).toString("hex")),
      );
    }),
  );
});

it("gives memory of its own, also to short messages", () => {
  const [first, second] = [1n, 2n].map((seq) => encodeMessage(Reply, Reply.fromPartial({ seq })));
  expect([...(first ?? [])]).toEqual([8, 1]);
  expect([...(second ?? [])]).toEqual([8, 2]);
});

it("takes a message of any length", () => {
  const body = new Uint8Array(1 << 20).fill(9);
  const { call } = Syscall.decode(encodeMessage(Syscall, mail(body)));
  expect(call?.$case === "send" && Buffer.compare(call.value.body, body)).toBe(0);
  expect(encodeMessage(Reply, Reply.fromPartial({ seq: 1n }))).toHaveLength(2);
});

it("forgets half a message that could not be encoded", () => {
  const good = Syscall.fromPartial({ seq: 5n, call: { $case: "nice", value: { nice: 1 } } });
  const bad = { ...good, call: { $case: "nice" as const, value: { pid: 1n, nice: 1e12 } } };
  expect(() => encodeMessage(Syscall, bad)).toThrow(/invalid int32/);
  expect(encodeMessage(Syscall, good)).toEqual(Buffer.from(Syscall.encode(good).finish()));
});
