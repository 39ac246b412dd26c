/** Alarms and schedules on clocks that are moved by hand. */
import { describe, expect, it } from "vitest";
import { bytes, IpcWorld } from "../../test/support/ipc-world.js";
import { namespaceGift } from "../cap/births.js";

const HOUR_US = 3_600_000_000;
const HOUR_MS = 3_600_000;

/** At the full hour; time passes in steps in which timers fire. */
class TimeWorld extends IpcWorld {
  go(us: number): void {
    for (let left = us; left > 0; left -= 10_000_000) this.pass(Math.min(left, 10_000_000));
  }
  async mails(pid: bigint): Promise<{ at: string; missed: number }[]> {
    const out: { at: string; missed: number }[] = [];
    for (const { body } of [...(this.state.processes.get(pid)?.mailbox.mails ?? [])]) {
      out.push(JSON.parse(Buffer.from(body).toString()));
    }
    return out;
  }
}

function world() {
  const w = new TimeWorld();
  w.wall = Date.UTC(2026, 0, 1) - 1;
  w.now = 1000;
  return { w, pid: w.agent() };
}

describe("an alarm", () => {
  it("rings once; a new one takes the former's place and says what was left", async () => {
    const { w, pid } = world();
    expect((await w.ask(pid, "alarm", { us: 1000n })).leftUs).toBe(0n);
    w.pass(400);
    expect((await w.ask(pid, "alarm", { us: 1000n })).leftUs).toBe(600n);
    w.pass(999);
    expect(w.signals).toEqual([]);
    w.pass(1);
    w.pass(5000);
    expect(w.signals).toHaveLength(1);
    expect(w.signals[0]).toMatch(/^ALRM/);
    await w.ask(pid, "alarm", { us: 10n });
    expect((await w.ask(pid, "alarm", { us: 0n })).leftUs).toBe(10n);
    await w.ask(pid, "alarm", { us: 10n });
    w.end(pid);
    w.pass(100);
    expect(w.signals).toHaveLength(1);
    expect(w.state.time.alarms.size).toBe(0);
  });
});

describe("a schedule", () => {
  it("fires at its times, to an inbox, a mailbox, a topic, as a signal", async () => {
    const { w, pid } = world();
    const box = await w.open(pid, "mailbox", "jobs");
    const sub = await w.ask(pid, "subscribe", { pattern: "tick.*" });
    const cron = "30 * * * *";
    const { nextMs } = await w.ask(pid, "schedule", { name: "a", cron, inbox: true });
    expect(new Date(Number(nextMs)).toISOString()).toBe("2026-01-01T00:30:00.000Z");
    await w.ask(pid, "schedule", { name: "b", cron, mailbox: "jobs", body: bytes("do") });
    await w.ask(pid, "schedule", { name: "c", cron, subject: "tick.tock" });
    await w.ask(pid, "schedule", { name: "d", cron, signal: "USR1" });
    w.go(2 * HOUR_US);
    expect(await w.mails(pid)).toEqual([
      { schedule: "a", at: "2026-01-01T00:30:00.000Z", missed: 0 },
      { schedule: "a", at: "2026-01-01T01:30:00.000Z", missed: 0 },
    ]);
    expect((await w.ask(pid, "recv", {}, box)).body.toString()).toBe("do");
    expect((await w.ask(pid, "recv", {}, sub.handle)).topic).toBe("tick.tock");
    expect(w.signals).toHaveLength(2);
    const { schedules } = await w.ask(pid, "scheduleList");
    expect(schedules.map(({ target }) => target.split(" ")[0])).toEqual([
      "inbox",
      "mailbox",
      "topic",
      "signal",
    ]);
    await w.ask(pid, "scheduleRemove", { name: "d" });
    w.go(HOUR_US);
    expect(w.signals).toHaveLength(2);
    w.end(pid);
    expect([...w.state.time.schedules.values()].map(({ name }) => name)).toEqual(["b", "c"]);
  });

  it("catches up once when the clock steps forward, and says what that stands for", async () => {
    const { w, pid } = world();
    await w.ask(pid, "schedule", { name: "a", cron: "0 * * * *", inbox: true });
    w.wall += 5.5 * HOUR_MS;
    w.go(40_000_000);
    expect(await w.mails(pid)).toEqual([
      { schedule: "a", at: "2026-01-01T05:00:00.000Z", missed: 4 },
    ]);
    w.go(HOUR_US);
    expect((await w.mails(pid))[1]).toEqual({
      schedule: "a",
      at: "2026-01-01T06:00:00.000Z",
      missed: 0,
    });
  });

  it("repeats nothing after a small step back, and follows the clock after a great one", async () => {
    const { w, pid } = world();
    await w.ask(pid, "schedule", { name: "a", cron: "0 * * * *", inbox: true });
    w.go(1.1 * HOUR_US);
    w.wall -= HOUR_MS;
    w.go(0.95 * HOUR_US);
    expect(await w.mails(pid)).toHaveLength(1);
    w.wall -= 24 * HOUR_MS;
    w.go(1.1 * HOUR_US);
    expect((await w.mails(pid)).map(({ at }) => at)).toEqual([
      "2026-01-01T01:00:00.000Z",
      "2025-12-31T02:00:00.000Z",
    ]);
  });

  it("whose target has no room tells of it with the next firing", async () => {
    const { w, pid } = world();
    const box = await w.open(pid, "mailbox", "jobs", { mailbox: { messages: 1 } });
    await w.ask(pid, "schedule", { name: "a", cron: "0 * * * *", mailbox: "jobs" });
    w.go(3.5 * HOUR_US);
    await w.ask(pid, "recv", {}, box);
    w.go(HOUR_US);
    const { body } = await w.ask(pid, "recv", {}, box);
    expect(JSON.parse(body.toString())).toMatchObject({
      at: "2026-01-01T04:00:00.000Z",
      missed: 2,
    });
  });

  it("keeps to its timezone over the change to summer time", async () => {
    const { w, pid } = world();
    w.wall = Date.UTC(2026, 2, 28);
    const call = { name: "a", cron: "0 12 * * *", timezone: "Europe/Berlin", inbox: true };
    await w.ask(pid, "schedule", call);
    w.go(48 * HOUR_US);
    expect((await w.mails(pid)).map(({ at }) => at)).toEqual([
      "2026-03-28T11:00:00.000Z",
      "2026-03-29T10:00:00.000Z",
    ]);
  });

  it.each([
    ["0 0 31 2 *", "", /never fires/],
    ["0 0 30-31 FEB *", "", /never fires/],
    ["0 0 0 1 1 * 2020", "", /never fires/],
    ["61 * * * *", "", /minute/],
    ["now and then", "", /cron "now and then"/],
    ["", "", /cron/],
    ["* * * * *", "Mars/Base", /timezone "Mars\/Base" is not known/],
    ["*".repeat(300), "", /at most 256/],
  ])("refuses %j %s with the reason", async (cron, timezone, why) => {
    const { w, pid } = world();
    const made = w.ask(pid, "schedule", { name: "a", cron, timezone, inbox: true });
    await expect(made).rejects.toThrow(/^EINVAL/);
    await expect(
      w.ask(pid, "schedule", { name: "a", cron, timezone, inbox: true }),
    ).rejects.toThrow(why);
  });

  it("does nothing for a key that its calls could not do", async () => {
    const { w } = world();
    const pid = w.process({ scopes: ["time"], gifts: [namespaceGift("alice", ["*"])] });
    await w.open(w.agent(), "mailbox", "jobs");
    const call = { name: "a", cron: "0 * * * *" };
    for (const target of [{ mailbox: "jobs" }, { subject: "news" }]) {
      expect(await w.outcome(pid, "schedule", { ...call, ...target })).toMatch(
        /^EPERM: ipc\.(send|publish) needs the scope ipc/,
      );
    }
    await w.ask(pid, "schedule", { ...call, inbox: true });
  });

  it("refuses a name that is taken, no target or two, and a mailbox that is not there", async () => {
    const { w, pid } = world();
    const call = { name: "a", cron: "0 * * * *" };
    await expect(w.ask(pid, "schedule", call)).rejects.toThrow(/^EINVAL/);
    await expect(w.ask(pid, "schedule", { ...call, inbox: true, signal: "USR1" })).rejects.toThrow(
      /^EINVAL/,
    );
    await expect(w.ask(pid, "schedule", { ...call, mailbox: "none" })).rejects.toThrow(/^ENOENT/);
    await expect(w.ask(pid, "schedule", { ...call, signal: "NONE" })).rejects.toThrow(/^EINVAL/);
    await w.ask(pid, "schedule", { ...call, inbox: true });
    await expect(w.ask(pid, "schedule", { ...call, inbox: true })).rejects.toThrow(/^EEXIST/);
    await expect(w.ask(pid, "scheduleRemove", { name: "b" })).rejects.toThrow(/^ENOENT/);
  });
});
