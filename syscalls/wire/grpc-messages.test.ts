import fc from "fast-check";
import { expect, test } from "vitest";
import { Messages, messageBytes } from "./grpc-messages.js";

const MAX = 300;

/** The messages in `bytes` when they come cut at these places. */
function taken(bytes: Buffer, cuts: readonly number[]): string[] {
  const out: string[] = [];
  const messages = new Messages(MAX, (message) => message.toString("latin1"));
  let at = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    out.push(...messages.take(bytes.subarray(at, Math.max(at, cut))));
    at = Math.max(at, cut);
  }
  return [...out, ...messages.take(bytes.subarray(at))];
}

test("messages come whole and in order, wherever their bytes were cut", () => {
  const text = fc.string({ unit: "binary-ascii", maxLength: MAX });
  fc.assert(
    fc.property(
      fc.array(text, { maxLength: 8 }),
      fc.array(fc.nat(3000), { maxLength: 12 }),
      (sent, cuts) => {
        const bytes = Buffer.concat(sent.map((one) => messageBytes(Buffer.from(one, "latin1"))));
        expect(taken(bytes, cuts)).toEqual(sent);
      },
    ),
  );
});

test("one that is too long is refused by its header, before its bytes are kept", () => {
  const long = messageBytes(Buffer.alloc(MAX + 1));
  expect(() => taken(long.subarray(0, 5), [2])).toThrow(/301 bytes came; at most 300/);
});

test("a compressed one is refused: nobody asked for it", () => {
  const bytes = messageBytes(Buffer.from("x"));
  bytes[0] = 1;
  expect(() => taken(bytes, [])).toThrow(/compressed/);
});
