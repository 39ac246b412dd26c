import fc from "fast-check";
import { expect, test } from "vitest";
import { Acks } from "./acks.js";

test("what is acknowledged is answered without a gap, in whatever order answers come", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { maxLength: 300 }),
      (answered) => {
        const acks = new Acks();
        const seen = new Set<number>();
        for (const seq of answered) {
          acks.replied(seq);
          seen.add(seq);
          let gapless = 0;
          while (seen.has(gapless + 1)) gapless += 1;
          expect(acks.tell()).toBe(BigInt(gapless));
        }
      },
    ),
  );
});

test("the kernel is told unasked only after many answers", () => {
  const acks = new Acks();
  const due = Array.from({ length: 130 }, (_, i) => {
    const now = acks.replied(i + 1);
    if (now) acks.tellAll();
    return now ? i + 1 : 0;
  });
  expect(due.filter((seq) => seq > 0)).toEqual([64, 128]);
});

test("an open call does not hold up the answers after it", () => {
  const acks = new Acks();
  for (let seq = 2; seq < 65; seq++) expect(acks.replied(seq)).toBe(false);
  expect(acks.replied(65)).toBe(true);
  const { ackedThrough, acked } = acks.tellAll();
  expect(ackedThrough).toBe(0n);
  expect(acked).toEqual(Array.from({ length: 64 }, (_, i) => BigInt(i + 2)));
  expect(acks.replied(1)).toBe(true);
  expect(acks.tellAll()).toEqual({ ackedThrough: 65n, acked: [] });
});
