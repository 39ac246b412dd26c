/** The snapshot file: what is written is read again, and nothing else is read at all. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ContixError } from "../../proto/errno.js";
import { Snapshot } from "../../proto/gen/contix/v1/snapshot.js";
import { lengthsOf, readSnapshot, runsOf, writeSnapshot } from "./snapshot-file.js";

const VOCAB = 300;

/** Contexts as the kernel makes them: lengths of runs, in turns given and generated. */
const snapshots = fc
  .record({
    firstGenerated: fc.boolean(),
    lengths: fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 5 }),
    tail: fc.constantFrom("empty", "text", "closed", "assistant"),
    seed: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined }),
  })
  .chain(({ firstGenerated, lengths, tail, seed }) => {
    const runs = firstGenerated && lengths.length > 0 ? [0, ...lengths] : lengths;
    const length = lengths.reduce((sum, n) => sum + n, 0);
    return fc.array(fc.nat(VOCAB - 1), { minLength: length, maxLength: length }).map((tokens) =>
      Snapshot.fromPartial({
        ...{ model: "m", engine: "e", vocab: VOCAB, tokens, runs, tail, cid: 5n },
        seams: length > 0 ? [{ at: length, tail }] : [],
        last: seed === undefined ? undefined : { start: length, sampling: { seed, topK: 3 } },
      }),
    );
  });

function refusal(bytes: Uint8Array): string {
  try {
    readSnapshot(bytes);
  } catch (error) {
    if (error instanceof ContixError && error.code === "EINVAL") return error.message;
    throw error;
  }
  return "";
}

describe("a snapshot file", () => {
  it("is read as it was written", () => {
    fc.assert(
      fc.property(snapshots, (snapshot) => {
        expect(readSnapshot(writeSnapshot(snapshot))).toEqual(snapshot);
        const runs = runsOf(snapshot.runs);
        expect(lengthsOf(runs, snapshot.tokens.length)).toEqual(snapshot.runs);
      }),
      { numRuns: 100 },
    );
  });

  it("is refused with any one bit flipped, cut anywhere, or longer than it was", () => {
    fc.assert(
      fc.property(snapshots, (snapshot) => {
        const good = writeSnapshot(snapshot);
        for (let bit = 0; bit < good.length * 8; bit++) {
          const flipped = Buffer.from(good);
          flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          expect(refusal(flipped)).toMatch(/^the snapshot can not be restored: /);
        }
        for (let length = 0; length < good.length; length++) {
          expect(refusal(good.subarray(0, length))).toMatch(/truncated|no snapshot/);
        }
        expect(refusal(Buffer.concat([good, Buffer.of(0)]))).toContain("too many");
      }),
      { numRuns: 12 },
    );
  });

  it.each([
    [
      "version 3",
      (b: Buffer) => b.writeUInt32LE(3, 8),
      /version 3; this kernel reads versions 1 to 2/,
    ],
    ["version 0", (b: Buffer) => b.writeUInt32LE(0, 8), /version 0;/],
    ["another kind", (b: Buffer) => b.write("CONTIXXX"), /no snapshot/],
    ["a bit of the body", (b: Buffer) => b.writeUInt8((b[50] ?? 0) ^ 1, 50), /checksum/],
    ["a shorter length", (b: Buffer) => b.writeUInt32LE(1, 12), /too many/],
  ])("names what is wrong: %s", (_, change, message) => {
    const bytes = writeSnapshot(
      Snapshot.fromPartial({ model: "m", vocab: 9, tokens: [1, 2], runs: [2], tail: "text" }),
    );
    change(bytes);
    expect(refusal(bytes)).toMatch(message);
  });

  it.each([
    [{ runs: [1] }, /its runs have 1 tokens, and it has 2/],
    [{ runs: [1, 0, 1] }, /empty run/],
    [{ tokens: [1, 9] }, /its token 1 is 9, outside its vocabulary of 9/],
    [{ tail: "open" }, /tail "open"/],
    [{ seams: [{ at: 3, tail: "text" }] }, /seam at 3/],
    [{ seams: [{ at: 1, tail: "" }] }, /seam at 1/],
    [{ last: { start: 3 } }, /behind its end/],
  ])("with a good checksum and a wrong meaning is refused too: %j", (wrong, message) => {
    const right = { model: "m", vocab: 9, tokens: [1, 2], runs: [2], tail: "text" };
    const bytes = writeSnapshot(Snapshot.fromPartial({ ...right, ...wrong }));
    expect(refusal(bytes)).toMatch(message);
  });
});
