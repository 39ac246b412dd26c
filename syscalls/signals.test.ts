import { expect, test } from "vitest";
import { type Signal, Signals } from "./signals.js";

const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

test("a handler gets the signal and its sender, until it is taken off", async () => {
  const raised: string[] = [];
  const seen: Signal[] = [];
  const signals = new Signals((name) => raised.push(name));
  const off = signals.on("TERM", (signal) => seen.push(signal));
  signals.deliver({
    name: "TERM",
    fromPid: (1n << 52n) | 2n,
    context: undefined,
    quota: undefined,
  });
  signals.deliver({ name: "TERM", fromPid: 0n, context: undefined, quota: undefined });
  await turn();
  expect(seen).toEqual([
    { name: "TERM", from: "n1.2" },
    { name: "TERM", from: null },
  ]);
  expect(raised).toEqual([]);
  off();
  signals.deliver({ name: "TERM", fromPid: 0n, context: undefined, quota: undefined });
  expect(raised).toEqual(["TERM"]);
});

test("without a handler the deadly ones do what the system does; others nothing", () => {
  const raised: string[] = [];
  const signals = new Signals((name) => raised.push(name));
  for (const name of ["TERM", "INT", "HUP", "USR1", "CHLD", "SOMETHING"]) {
    signals.deliver({ name, fromPid: 0n, context: undefined, quota: undefined });
  }
  expect(raised).toEqual(["TERM", "INT", "HUP"]);
});
