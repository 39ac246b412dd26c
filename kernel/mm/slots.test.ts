import { expect, it } from "vitest";
import { type Slot, SlotTable } from "./slots.js";

/** Two slots, of contexts 1 and 2; the first was used longer ago. */
function world(): { table: SlotTable; first: Slot; second: Slot } {
  const table = new SlotTable(2);
  const [first, second] = table.slots;
  if (!first || !second) throw new Error("no slots");
  table.assign(first, 1n);
  table.assign(second, 2n);
  second.lastUsed = 5;
  return { table, first, second };
}

it("gives away a free slot, else the one idle longest", () => {
  const { table, first, second } = world();
  expect(table.available()).toBe(first);
  table.drop(2n);
  expect(table.available()).toBe(second);
});

it("gives away none that a burst runs in, or that is being read into", () => {
  const { table, first, second } = world();
  first.reads = 1;
  expect(table.available()).toBe(second);
  second.binding = 7n;
  expect(table.available()).toBeUndefined();
  // Free, as far as contexts go; the reads are under way still.
  table.drop(1n);
  expect(table.available()).toBeUndefined();
});
