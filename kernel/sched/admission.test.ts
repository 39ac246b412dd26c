import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ContixError } from "../../proto/errno.js";
import type { Clock } from "../clock.js";
import { Admission, type Asker } from "./admission.js";
import { PLACE_US, Place } from "./place.js";

const full = expect.objectContaining({ code: "EAGAIN", retryAfterUs: expect.any(Number) });

function asker(pid: bigint, over: Partial<Asker> = {}): Asker {
  return { pid, principal: `p${pid}`, class: "interactive", ...over };
}

/** @returns the time after which it may come back; 0: it was let in */
function enter(admission: Admission, who: Asker, now = 0): number {
  try {
    admission.enter(who, now);
    return 0;
  } catch (error) {
    if (!(error instanceof ContixError) || error.code !== "EAGAIN") throw error;
    return error.retryAfterUs ?? 0;
  }
}

/** Lets in as many as are let in. */
function fill(admission: Admission, who: (n: number) => Asker): number {
  let n = 0;
  while (n < 10_000 && enter(admission, who(n)) === 0) n++;
  return n;
}

describe("admission", () => {
  it("is bounded, and a place given back is free again", () => {
    const admission = new Admission(1, 1);
    admission.enter(asker(1n), 0);
    admission.enter(asker(1n), 0);
    expect(() => admission.enter(asker(2n), 0)).toThrow(full);
    expect(() => admission.enter(asker(2n), 0)).toThrow(/^2 generations are admitted, the limit/);
    admission.leave(asker(1n), { work: 100, servedUs: 500_000 });
    admission.enter(asker(2n), 0);
    expect([admission.admitted, admission.refused]).toEqual([2, 2]);
  });

  it("keeps room for others, whatever one process asks for", () => {
    const admission = new Admission(16, 512);
    const hog = fill(admission, () => asker(1n));
    expect(hog).toBeGreaterThan(400);
    for (let pid = 2n; pid < 50n; pid++) admission.enter(asker(pid), 0);
    for (let n = 0; n < hog; n++) admission.leave(asker(1n));
    expect(admission.admitted).toBe(48);
    admission.enter(asker(1n), 0);
  });

  it("keeps room for others, whatever one principal asks for, in however many processes", () => {
    const admission = new Admission(16, 512);
    const mine = fill(admission, (n) => asker(BigInt(n), { principal: "hog" }));
    expect(mine).toBeGreaterThan(440);
    expect(mine).toBeLessThan(admission.limit - 50);
    for (let n = 0; n < 50; n++) admission.enter(asker(10_000n + BigInt(n)), 0);
  });

  it("has room for others when nobody reads for a while, and none is refused in its middle", () => {
    let now = 0;
    const due = new Set<() => void>();
    const after = (_: number, fn: () => void) => {
      due.add(fn);
      return () => void due.delete(fn);
    };
    const clock = { now: () => now, wall: () => 0, after } as Clock;
    const pass = (): void => {
      now += PLACE_US;
      for (const fn of [...due]) if (due.delete(fn)) fn();
    };
    const admission = new Admission(1, 1);
    const [slow, quick] = [1n, 2n].map((pid) => new Place(admission, clock, asker(pid)));
    expect(() => new Place(admission, clock, asker(3n))).toThrow(full);
    slow?.read(false);
    quick?.read(false);
    quick?.read(true);
    pass();
    expect(admission.admitted).toBe(1);
    const third = new Place(admission, clock, asker(3n));
    slow?.read(true);
    slow?.read(true);
    expect(admission.admitted).toBe(3);
    expect(() => admission.enter(asker(4n), now)).toThrow(full);
    // As many may be away as there are places; and who ends, away or not, leaves nothing behind.
    for (const place of [slow, quick, third]) place?.read(false);
    pass();
    expect(admission.admitted).toBe(1);
    for (const place of [slow, quick, third]) place?.leave();
    pass();
    expect([admission.admitted, due.size]).toEqual([0, 0]);
    for (const pid of [1n, 2n]) admission.enter(asker(pid), now);
  });

  it("sheds batch first: a quarter of the places is not for it", () => {
    const admission = new Admission(16, 384);
    const batch = fill(admission, (n) => asker(BigInt(n), { class: "batch" }));
    expect(batch).toBe(300);
    expect(fill(admission, (n) => asker(BigInt(n)))).toBe(100);
  });

  it("says when to come back: as many ends as it takes, at the rate at which they come", () => {
    const admission = new Admission(4, 0);
    for (let pid = 1n; pid <= 4n; pid++) admission.enter(asker(pid), 0);
    for (let n = 0; n < 200; n++) {
      admission.leave(asker(1n), { work: 50, servedUs: 2_000_000 });
      admission.enter(asker(1n), 0);
    }
    // One of four slots is free every half second; who comes next waits for the next one.
    const told = [1, 2, 3].map(() => enter(admission, asker(9n)));
    for (const [n, us] of told.entries()) expect(us / 500_000).toBeCloseTo(n + 1, 2);
    // Promises are over when their time is.
    expect(enter(admission, asker(9n), 5_000_000) / 500_000).toBeCloseTo(1, 2);
  });

  it("never says at once, never for ever, and learns nothing from what was not served", () => {
    const admission = new Admission(1, 0);
    const before = admission.retryAfterUs(0);
    for (const done of [undefined, { work: 0, servedUs: 5 }, { work: 5, servedUs: 0 }]) {
      admission.enter(asker(1n), 0);
      admission.leave(asker(1n), done);
    }
    expect(admission.retryAfterUs(0)).toBe(before);
    admission.enter(asker(1n), 0);
    for (let n = 0; n < 5000; n++) expect(enter(admission, asker(2n))).toBeLessThanOrEqual(6e8);
    for (let n = 0; n < 300; n++) {
      admission.leave(asker(1n), { work: 1, servedUs: 1 });
      admission.enter(asker(1n), 0);
    }
    expect(admission.retryAfterUs(1e12)).toBe(10_000);
  });

  it("lets in whoever comes back after as many ends as it was told of, and counts right", () => {
    const step = fc.record({
      pid: fc.bigInt({ min: 1n, max: 6n }),
      principal: fc.constantFrom("a", "b"),
      class: fc.constantFrom("realtime" as const, "interactive" as const, "batch" as const),
      end: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(step, { maxLength: 150 }),
        (limit, steps) => {
          const admission = new Admission(1, limit - 1);
          const inside: Asker[] = [];
          for (const { end, ...who } of steps) {
            const first = end ? inside.shift() : undefined;
            if (first) admission.leave(first);
            else if (enter(admission, who) === 0) inside.push(who);
            expect(admission.admitted).toBe(inside.length);
            expect(inside.length).toBeLessThanOrEqual(admission.limit);
          }
          for (const who of inside) admission.leave(who);
          expect(admission.admitted).toBe(0);
          // Nobody is left in the books: each is as free as at first.
          for (let pid = 1n; pid <= 6n; pid++) {
            expect(enter(admission, asker(pid, { principal: "a" }))).toBe(0);
            admission.leave(asker(pid, { principal: "a" }));
          }
        },
      ),
    );
  });
});
