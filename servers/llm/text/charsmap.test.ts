import { describe, expect, it } from "vitest";
import { CharsMap } from "./charsmap.js";

const REPLACEMENTS = ["x", "yy", "", "ﬁn"];

/** A map from one or two bytes to an index of REPLACEMENTS, each node far from all others. */
function charsMap(entries: readonly (readonly [string, number])[]): CharsMap {
  const units = new Uint32Array(1 << 16);
  const strings = Buffer.from(`${REPLACEMENTS.join("\0")}\0`);
  const offsets = REPLACEMENTS.map((_, i) =>
    Buffer.byteLength(
      REPLACEMENTS.slice(0, i)
        .map((text) => `${text}\0`)
        .join(""),
    ),
  );
  // A node's children begin where its number, a multiple of 256, says.
  const base = new Map([["", 256]]);
  units[0] = 256 << 10;
  for (const [key] of [...entries].sort(([a], [b]) => a.length - b.length)) {
    for (let i = 1; i <= key.length; i++) {
      const [before, path] = [key.slice(0, i - 1), key.slice(0, i)];
      const byte = key.charCodeAt(i - 1);
      const node = (base.get(before) ?? 0) ^ byte;
      const children = base.get(path) ?? 256 * (base.size + 1);
      base.set(path, children);
      const entry = entries.find(([some]) => some === path);
      units[node] = (((node ^ children) << 10) | (entry ? 0x100 : 0) | byte) >>> 0;
      if (entry) units[children] = (0x80000000 | (offsets[entry[1]] ?? 0)) >>> 0;
    }
  }
  const head = Buffer.alloc(4);
  head.writeUInt32LE(units.byteLength);
  return new CharsMap(Buffer.concat([head, Buffer.from(units.buffer), strings]));
}

describe("CharsMap", () => {
  const map = charsMap([
    ["A", 0],
    ["AB", 1],
    ["e", 3],
    ["\u0001", 2],
  ]);

  it("replaces the longest sequence, as SentencePiece does", () => {
    expect(map.longest("AB A\u0001B e\u0301😀")).toBe("yy xB ﬁn\u0301😀");
    expect(map.longest("A".repeat(100))).toBe("x".repeat(100));
  });

  it("replaces by grapheme the shortest, as Hugging Face tokenizers do", () => {
    expect(map.byGrapheme("AB A\u0001B e\u0301😀")).toBe("xB xB ﬁn😀");
  });

  it("refuses what is no map", () => {
    for (const bytes of [[], [0, 0, 0, 0], [8, 0, 0, 0, 1, 2, 3, 4], [3, 0, 0, 0, 1, 2, 3, 4]]) {
      expect(() => new CharsMap(Uint8Array.from(bytes))).toThrow(
        expect.objectContaining({ code: "EMODEL" }),
      );
    }
    // Damage within is no crash.
    const zeros = Uint8Array.from([16, 0, 0, 0, ...new Uint8Array(17).fill(255)]);
    expect(new CharsMap(zeros).longest("AB")).toBe("AB");
  });
});
