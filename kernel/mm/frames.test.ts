import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Places } from "./frames.js";

describe("places", () => {
  it("are given out one after the other, the wanted one if it is free", () => {
    const places = new Places(5);
    expect([0, 1, 2].map(() => places.take(-1))).toEqual([0, 1, 2]);
    expect(places.take(4)).toBe(4);
    places.release(1);
    expect([places.take(4), places.take(9), places.take(0), places.free]).toEqual([1, 3, -1, 0]);
  });
  it("of none are none", () => {
    expect(new Places(0).take(0)).toBe(-1);
  });
  it("can not be given back twice", () => {
    const places = new Places(2);
    places.release(places.take(0));
    expect(() => places.release(0)).toThrow(/twice/);
    expect(() => places.release(7)).toThrow(/twice/);
  });

  it("have one owner each, whatever the order", () => {
    const ops = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: -2, max: 12 })));
    fc.assert(
      fc.property(fc.nat(10), ops, (count, todo) => {
        const places = new Places(count);
        const mine = new Set<number>();
        for (const [take, wanted] of todo) {
          if (take) {
            const could = wanted >= 0 && wanted < count && !mine.has(wanted);
            const place = places.take(wanted);
            expect(place >= 0).toBe(mine.size < count);
            if (could) expect(place).toBe(wanted);
            expect(mine.has(place)).toBe(false);
            if (place >= 0) mine.add(place);
          } else if (mine.delete(wanted)) places.release(wanted);
          expect(places.free).toBe(count - mine.size);
          for (let i = 0; i < count; i++) expect(places.isFree(i)).toBe(!mine.has(i));
        }
      }),
    );
  });
});
