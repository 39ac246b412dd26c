import { expect, it } from "vitest";
import { StartTurns } from "./start-turns.js";

it("has one turn in each round of the event loop, in order, so that sockets are read between two", async () => {
  let round = 0;
  let over = false;
  const count = (): void => {
    round++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const turns = new StartTurns();
  const had: { readonly who: number; readonly round: number }[] = [];
  await Promise.all(
    Array.from({ length: 5 }, (_, who) => turns.next().then(() => had.push({ who, round }))),
  );
  over = true;
  expect(had.map(({ who }) => who)).toEqual([0, 1, 2, 3, 4]);
  expect(new Set(had.map((turn) => turn.round)).size).toBe(5);
});
