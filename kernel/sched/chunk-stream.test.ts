import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TokenLogprob } from "../../proto/gen/contix/v1/calls.js";
import type { Clock } from "../clock.js";
import { ChunkRate } from "./chunk-rate.js";
import { ChunkStream } from "./chunk-stream.js";

/** Time that passes when it is told to. */
function handClock() {
  let now = 0;
  let timers: { at: number; fn: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    wall: () => now / 1000,
    after(us, fn) {
      const timer = { at: now + us, fn };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  const pass = (us: number): void => {
    const until = now + us;
    for (;;) {
      const [next] = timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      now = next.at;
      timers = timers.filter((timer) => timer !== next);
      next.fn();
    }
    now = until;
  };
  return { clock, pass, waiting: () => timers.length };
}

function logprob(token: number): TokenLogprob {
  return { token, logprob: 0, bytes: Buffer.alloc(0), special: "", top: [] };
}

/** A stream among `others` that go on beside it. */
function opened(credit: number, others = 0) {
  const { clock, pass, waiting } = handClock();
  const chunkRate = new ChunkRate();
  for (let i = 0; i < others; i++) chunkRate.enter();
  const sent: string[] = [];
  const told: (number[] | undefined)[] = [];
  const able: boolean[] = [];
  const stream = new ChunkStream(
    {
      clock,
      chunkRate,
      send: (text, tokens, logprobs) => {
        sent.push(`${text}:${tokens.length}`);
        told.push(logprobs?.map(({ token }) => token));
      },
      onAble: (now) => able.push(now),
    },
    credit,
  );
  return { stream, sent, told, able, pass, waiting, chunkRate };
}

describe("a stream of chunks", () => {
  it("sends the first token at once, and those that come soon after together", () => {
    const { stream, sent, pass } = opened(9, 3);
    stream.add("a", [1]);
    pass(10_000);
    stream.add("b", [2]);
    pass(10_000);
    stream.add("c", [3]);
    pass(28_000);
    // Its time has come: it goes with the next token.
    expect(sent).toEqual(["a:1"]);
    stream.add("d", [4]);
    expect(sent).toEqual(["a:1", "bcd:3"]);
  });

  it("sends log probabilities with their tokens", () => {
    const { stream, told, pass } = opened(9, 3);
    stream.add("a", [1], [logprob(1)]);
    stream.add("b", [2], [logprob(2)]);
    stream.add("", [3], [logprob(3)]);
    pass(1_000_000);
    stream.add("d", [4], [logprob(4)]);
    expect(told).toEqual([[1], [2, 3], [4]]);
  });

  it("does not keep text when no token comes for a while", () => {
    const { stream, sent, pass, waiting } = opened(9, 3);
    stream.add("a", [1]);
    stream.add("b", [2]);
    pass(48_000 + 99_999);
    expect(sent).toEqual(["a:1"]);
    pass(1);
    expect(sent).toEqual(["a:1", "b:1"]);
    expect(waiting()).toBe(0);
  });

  it("sends every token of a stream that is alone and slow", () => {
    const { stream, sent, pass } = opened(9);
    for (const text of ["a", "b", "c"]) {
      stream.add(text, [1]);
      pass(18_000);
    }
    expect(sent).toEqual(["a:1", "b:1", "c:1"]);
  });

  it("sends no more chunks than it has credit, and goes on with more", () => {
    const { stream, sent, able, pass } = opened(1);
    stream.add("a", [1]);
    stream.add("b", [2]);
    pass(1_000_000);
    expect(sent).toEqual(["a:1"]);
    expect(able.at(-1)).toBe(false);
    stream.give(1);
    expect(sent).toEqual(["a:1", "b:1"]);
    expect(able.at(-1)).toBe(false);
  });

  it("does not send before its time because credit came", () => {
    const { stream, sent, pass } = opened(2, 9);
    stream.add("a", [1]);
    stream.add("b", [2]);
    stream.give(1);
    expect(sent).toEqual(["a:1"]);
    pass(220_000);
    expect(sent).toEqual(["a:1", "b:1"]);
  });

  it("keeps what a reader who is away has not got", () => {
    const { stream, sent, able, pass } = opened(9);
    stream.attachment(false);
    expect(able.at(-1)).toBe(false);
    stream.add("a", [1]);
    pass(1_000_000);
    expect(sent).toEqual([]);
    stream.attachment(true);
    expect(sent).toEqual(["a:1"]);
  });

  it("sends the rest at the end, credit or not, and leaves no timer and no share behind", () => {
    const { stream, sent, waiting, chunkRate } = opened(1, 2);
    stream.add("a", [1]);
    stream.add("b", [2]);
    stream.give(1);
    stream.stop();
    stream.finish();
    expect(sent).toEqual(["a:1", "b:1"]);
    expect(waiting()).toBe(0);
    expect(chunkRate.intervalUs).toBe(2 * 12_000);
  });

  it("loses nothing and keeps the order, whatever happens", () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constant("add" as const), n: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ kind: fc.constant("give" as const), n: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant("pass" as const), n: fc.integer({ min: 0, max: 30_000 }) }),
      fc.record({ kind: fc.constant("attached" as const), n: fc.integer({ min: 0, max: 1 }) }),
    );
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 60 }),
        fc.integer({ max: 5, min: 0 }),
        (events, credit) => {
          const { stream, sent, pass } = opened(credit, 1);
          let given = credit;
          let next = 0;
          const text = (): string => `${next++},`;
          for (const { kind, n } of events) {
            if (kind === "add") {
              const words = Array.from({ length: n }, text);
              stream.add(words.join(""), words.map(Number.parseInt));
            } else if (kind === "give") {
              given += n;
              stream.give(n);
            } else if (kind === "pass") pass(n);
            else stream.attachment(n === 1);
            expect(sent.length).toBeLessThanOrEqual(given);
          }
          stream.stop();
          stream.finish();
          const all = sent.map((chunk) => chunk.slice(0, chunk.indexOf(":"))).join("");
          expect(all).toBe(Array.from({ length: next }, (_, i) => `${i},`).join(""));
        },
      ),
    );
  });
});
