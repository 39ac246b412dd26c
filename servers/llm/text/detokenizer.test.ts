import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteDetokenizer } from "./detokenizer.js";
import { packTokenBytes } from "./token-bytes.js";

const table = (tokens: readonly (readonly number[])[]) =>
  packTokenBytes(tokens.map((bytes) => Uint8Array.from(bytes)));

describe("ByteDetokenizer", () => {
  it("gives, piece by piece, what decoding all bytes at once gives", () => {
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0xf0, 0x9f, 0x98, 0x80, 0xc3, 0xa9, 0xef));
    fc.assert(
      fc.property(fc.array(fc.array(byte, { maxLength: 5 }), { maxLength: 12 }), (tokens) => {
        const detokenizer = new ByteDetokenizer(table(tokens));
        const pieces = tokens.map((_, token) => detokenizer.push(token));
        const whole = new TextDecoder("utf-8", { ignoreBOM: true });
        expect(pieces.join("") + detokenizer.flush()).toBe(
          whole.decode(Uint8Array.from(tokens.flat())),
        );
        // Never half a surrogate pair.
        for (const piece of pieces) expect(piece).toBe(Buffer.from(piece).toString());
      }),
      { numRuns: 2000 },
    );
  });

  it("waits for the whole character, and gives up only at the end", () => {
    const detokenizer = new ByteDetokenizer(
      table([[0xf0, 0x9f], [0x98], [0x80, 0x21], [0xe2, 0x82]]),
    );
    expect([0, 1, 2, 3].map((token) => detokenizer.push(token))).toEqual(["", "", "😀!", ""]);
    expect(detokenizer.flush()).toBe("\ufffd");
    expect(detokenizer.flush()).toBe("");
  });

  it("keeps a byte order mark, which is text here", () => {
    const detokenizer = new ByteDetokenizer(table([[0xef, 0xbb, 0xbf]]));
    expect(detokenizer.push(0)).toBe("\ufeff");
  });

  it("has no text for special and unknown tokens", () => {
    const detokenizer = new ByteDetokenizer(table([[], [0x61]]));
    expect([0, 1, 2, -1, 99].map((token) => detokenizer.push(token)).join("")).toBe("a");
  });
});
