import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Entry, Heap } from "./heap.js";

/** What is done to an entry: its new key, or undefined: it is taken out. */
const deed = fc.record({
  which: fc.nat(15),
  key: fc.option(fc.integer({ min: -5, max: 5 }), { nil: undefined }),
});

describe("a heap", () => {
  it("has the least key first, the least order of equal ones, whatever was moved and taken out", () => {
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 120 }), (deeds) => {
        const heap = new Heap<number>();
        const entries = Array.from({ length: 16 }, (_, i) => new Entry(i, i));
        const model = new Map<Entry<number>, number>();
        for (const { which, key } of deeds) {
          const entry = entries[which];
          if (!entry) continue;
          if (key === undefined) {
            heap.remove(entry);
            model.delete(entry);
          } else {
            heap.set(entry, key);
            model.set(entry, key);
          }
          const sorted = [...model].sort(([a, ka], [b, kb]) => ka - kb || a.order - b.order);
          expect(heap.first).toBe(sorted[0]?.[0]);
        }
        const out: number[] = [];
        // A broken heap may name for ever what it does not hold.
        for (let first = heap.first; first && out.length <= entries.length; first = heap.first) {
          out.push(first.item);
          heap.remove(first);
        }
        const sorted = [...model].sort(([a, ka], [b, kb]) => ka - kb || a.order - b.order);
        expect(out).toEqual(sorted.map(([entry]) => entry.item));
      }),
    );
  });
});
