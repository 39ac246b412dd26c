import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LateAnswers } from "./late.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Ten a second of each sender, so that forty may come at once. */
function make(most = 1000) {
  const late = new LateAnswers({ perSecond: 10, most });
  const answered: string[] = [];
  const leave: (() => void)[] = [];
  const refuse = (sender: string, n = 1): boolean[] =>
    Array.from({ length: n }, () =>
      late.refuse(
        sender,
        () => void answered.push(sender),
        (forget) => void leave.push(forget),
      ),
    );
  return { late, answered, leave, refuse };
}

describe("refusals", () => {
  it("are out at once as long as there are few, and later beyond that, each once", () => {
    const { late, answered, refuse } = make();
    refuse("one", 40);
    expect([answered.length, late.late]).toEqual([40, 0]);
    refuse("one", 2);
    expect([answered.length, late.late, late.waiting]).toEqual([40, 2, 2]);
    vi.advanceTimersByTime(100);
    expect(answered).toHaveLength(41);
    vi.advanceTimersByTime(100);
    expect(answered).toHaveLength(42);
    vi.advanceTimersByTime(4_000);
    refuse("one", 39);
    expect([answered.length, late.waiting]).toEqual([81, 0]);
  });

  it("wait five seconds at most, and a sender who stops is soon as good as new", () => {
    const { answered, refuse } = make();
    refuse("one", 900);
    vi.advanceTimersByTime(5_000);
    expect(answered).toHaveLength(900);
    vi.advanceTimersByTime(4_000);
    refuse("one", 40);
    expect(answered).toHaveLength(940);
  });

  it("of one sender hold up nobody else's", () => {
    const { answered, refuse } = make();
    refuse("one", 200);
    refuse("two");
    expect(answered.at(-1)).toBe("two");
  });

  it("beyond those that may wait are not given: the sender is hung up on", () => {
    const { late, refuse } = make(3);
    expect(refuse("one", 45).slice(39)).toEqual([true, true, true, true, false, false]);
    expect([late.waiting, late.cut]).toEqual([3, 2]);
    expect(refuse("two")).toEqual([true]);
  });

  it("leave no timer behind for who has left, nor when the gateway ends", () => {
    const { late, answered, leave, refuse } = make();
    refuse("one", 43);
    leave[0]?.();
    expect([late.waiting, vi.getTimerCount()]).toEqual([2, 2]);
    late.close();
    expect([answered.length, late.waiting, vi.getTimerCount()]).toEqual([42, 0, 0]);
  });

  it("are never late without a limit", () => {
    const late = new LateAnswers({ perSecond: 0, most: 1 });
    let answered = 0;
    for (let i = 0; i < 5000; i++) {
      late.refuse(
        "one",
        () => void answered++,
        () => undefined,
      );
    }
    expect(answered).toBe(5000);
  });
});
