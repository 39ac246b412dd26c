import fc from "fast-check";
import { expect, test } from "vitest";
import { Chunks, CREDIT } from "./chunks.js";

function collect(): { chunks: Chunks; granted: () => number } {
  let sum = 0;
  const chunks = new Chunks((n) => {
    expect(n).toBeGreaterThanOrEqual(CREDIT / 2);
    sum += n;
  });
  return { chunks, granted: () => sum };
}

test("credit returns by halves as the reader reads", async () => {
  const { chunks, granted } = collect();
  chunks.pace(true);
  for (let i = 0; i < CREDIT; i++) chunks.push(`${i} `);
  expect(granted()).toBe(0);
  for (let i = 0; i < CREDIT / 2 - 1; i++) await chunks.next();
  expect(granted()).toBe(0);
  await chunks.next();
  expect(granted()).toBe(CREDIT / 2);
});

test("the sender is never more than the credit ahead of the reader, nor stuck", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 600 }), async (turns) => {
      const { chunks, granted } = collect();
      chunks.pace(true);
      let sent = 0;
      let read = 0;
      for (const sends of turns) {
        if (sends && sent < CREDIT + granted()) chunks.push(String(sent++));
        else if (read < sent) expect((await chunks.next())?.text).toBe(String(read++));
        expect(sent - read).toBeLessThanOrEqual(CREDIT);
      }
      while (read < sent) expect((await chunks.next())?.text).toBe(String(read++));
      // All is read, so the sender has at least half of its credit.
      expect(CREDIT + granted() - sent).toBeGreaterThan(CREDIT / 2);
    }),
  );
});

test("without a pace of its own, everything may come; a reader that begins later slows it", async () => {
  const { chunks, granted } = collect();
  for (let i = 0; i < 200; i++) chunks.push("x");
  const before = granted();
  expect(before).toBeGreaterThanOrEqual(200 - CREDIT / 2);
  chunks.pace(true);
  for (let i = 0; i < CREDIT; i++) chunks.push("x");
  expect(granted()).toBe(before);
  chunks.pace(false);
  expect(granted()).toBeGreaterThan(before);
});

test("a reader that waits is woken; empty texts are not shown", async () => {
  const { chunks } = collect();
  const first = chunks.next();
  chunks.push("");
  chunks.push("a");
  expect(await first).toEqual({ text: "a", logprobs: [] });
  const last = chunks.next();
  chunks.end();
  expect(await last).toBeUndefined();
  expect(await chunks.next()).toBeUndefined();
});

test("an error comes after what was received, once", async () => {
  const { chunks } = collect();
  chunks.push("a");
  chunks.end({ error: new Error("lost") });
  chunks.push("too late");
  expect(await chunks.next()).toMatchObject({ text: "a" });
  await expect(chunks.next()).rejects.toThrow("lost");
  expect(await chunks.next()).toBeUndefined();
});
