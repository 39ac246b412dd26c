import { afterEach, describe, expect, it, vi } from "vitest";
import { ConnectionError, type Os, SyscallError } from "../../syscalls/index.js";
import { Attachments } from "./attachments.js";

/** A kernel's attachments, and what became of them. */
function kernel() {
  const opened: string[] = [];
  const closed: string[] = [];
  const terms = new Map<string, () => void>();
  const connect = async (key: string): Promise<Os> => {
    opened.push(key);
    if (key.startsWith("bad")) throw new SyscallError("EACCES", "no such key");
    if (key.startsWith("away")) throw new ConnectionError("", "no kernel");
    const on = (_name: string, handler: () => void) => void terms.set(key, handler);
    return { key, on, close: async () => void closed.push(key) } as unknown as Os;
  };
  return { opened, closed, terms, connect };
}

afterEach(() => void vi.useRealTimers());

describe("attachments", () => {
  it("are one for each key, shared by its users, and closed after a while of rest", async () => {
    vi.useFakeTimers();
    const { connect, opened, closed } = kernel();
    const pool = new Attachments({ connect, limit: 4, idleMs: 1000 });
    const [a, b, c] = await Promise.all([pool.use("k1"), pool.use("k1"), pool.use("k2")]);
    expect(a.os).toBe(b.os);
    expect(c.os).not.toBe(a.os);
    expect(opened).toEqual(["k1", "k2"]);
    a[Symbol.dispose]();
    // Twice is once: the other user still has it.
    a[Symbol.dispose]();
    await vi.advanceTimersByTimeAsync(5000);
    expect(closed).toEqual([]);
    b[Symbol.dispose]();
    await vi.advanceTimersByTimeAsync(999);
    expect(closed).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect([closed, pool.size]).toEqual([["k1"], 1]);
  });

  it("make room by the one unused longest, never by one in use", async () => {
    const { connect, closed } = kernel();
    const pool = new Attachments({ connect, limit: 2, idleMs: 60_000 });
    const first = await pool.use("k1");
    const second = await pool.use("k2");
    await expect(pool.use("k3")).rejects.toMatchObject({ status: 429, retryAfterMs: 1000 });
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    (await pool.use("k1"))[Symbol.dispose]();
    (await pool.use("k3"))[Symbol.dispose]();
    expect(closed).toEqual(["k2"]);
    await pool.close();
    expect(closed.sort()).toEqual(["k1", "k2", "k3"]);
    await expect(pool.use("k1")).rejects.toBeInstanceOf(ConnectionError);
  });

  it("do not ask the kernel again about a key that it refused; about one that was away they do", async () => {
    const { connect, opened } = kernel();
    const pool = new Attachments({ connect, limit: 2, idleMs: 1000 });
    for (const key of ["bad", "bad", "away", "away"]) {
      await expect(pool.use(key)).rejects.toThrow();
    }
    expect(opened).toEqual(["bad", "away", "away"]);
    expect(pool.size).toBe(0);
  });

  it("that lost their kernel, or were told to end, are replaced for whoever comes next", async () => {
    const { connect, opened, closed, terms } = kernel();
    const pool = new Attachments({ connect, limit: 2, idleMs: 1000 });
    const lost = await pool.use("k1");
    lost.drop();
    const again = await pool.use("k1");
    expect([again.os === lost.os, opened, closed]).toEqual([false, ["k1", "k1"], []]);
    lost[Symbol.dispose]();
    await vi.waitFor(() => expect(closed).toEqual(["k1"]));
    terms.get("k1")?.();
    again[Symbol.dispose]();
    await pool.use("k1");
    expect(opened).toHaveLength(3);
  });
});
