/** The life of contexts on a clock that is moved by hand. */
import { expect, it } from "vitest";
import { memoryJournal } from "../journal/journal.js";
import { ContextLife } from "./context-life.js";

/** A context with a time to live of 100. */
function world() {
  const timers = new Map<() => void, number>();
  let now = 0;
  const clock = {
    now: () => now,
    wall: () => 0,
    after(us: number, fn: () => void) {
      timers.set(fn, now + us);
      return () => void timers.delete(fn);
    },
  };
  const journal = memoryJournal();
  const dropped: bigint[] = [];
  const engines = { drop: ({ cid }: { cid: bigint }) => void dropped.push(cid) };
  const life = new ContextLife({ clock, journal, engines, log: { debug() {} } });
  const base = { owner: 0n, handle: 0, model: "m", engine: "e", at: 0 };
  journal.append({ type: "ctx.created", cid: 1n, ...base, ttlUs: 100 });
  life.touch(1n);
  const pass = (us: number): void => {
    now += us;
    for (const [fn, at] of [...timers]) {
      if (at > now || !timers.delete(fn)) continue;
      fn();
    }
  };
  return { life, pass, journal, timers, dropped, isOpen: () => journal.state.contexts.has(1n) };
}

it("ends a context that nobody used for its time to live, and frees its place", () => {
  const { pass, isOpen, dropped, timers } = world();
  pass(99);
  expect(isOpen()).toBe(true);
  pass(1);
  expect(isOpen()).toBe(false);
  expect([dropped, timers.size]).toEqual([[1n], 0]);
});

it("begins the time anew with each use, and lets it stand while one is under way", () => {
  const { life, pass, isOpen } = world();
  pass(60);
  life.touch(1n);
  pass(60);
  expect(isOpen()).toBe(true);
  const use = life.lock({ cid: 1n });
  pass(1000);
  expect(isOpen()).toBe(true);
  use[Symbol.dispose]();
  pass(99);
  expect(isOpen()).toBe(true);
  pass(100);
  expect(isOpen()).toBe(false);
});

it("lets one use a context at a time, and frees it once", () => {
  const { life } = world();
  const first = life.lock({ cid: 1n });
  expect(() => life.lock({ cid: 1n })).toThrow(expect.objectContaining({ code: "EBUSY" }));
  first[Symbol.dispose]();
  const second = life.lock({ cid: 1n });
  first[Symbol.dispose]();
  expect(life.isBusy(1n)).toBe(true);
  second[Symbol.dispose]();
  expect(life.isBusy(1n)).toBe(false);
});

it("keeps nothing of a context that was closed", () => {
  const { life, journal, timers } = world();
  journal.append(life.close({ cid: 1n, model: "m" }));
  expect(timers.size).toBe(0);
  life.touch(1n);
  expect(timers.size).toBe(0);
});
