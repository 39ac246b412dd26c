/** Time, the kernel itself, processes and their supervisors, and what contexts file away. */
import { expect } from "vitest";
import type { DoorClient } from "../../support/door-client.js";
import { type Case, context, fails, fresh, NOBODY, text, withPeer, words } from "./case.js";

const FOREVER = [process.execPath, "-e", "setInterval(() => {}, 1000)"];
const NEVER_SOON = "0 0 1 1 *";

export const TIME: readonly Case[] = [
  [
    "time.alarm sends ALRM over the door",
    async (os) => {
      await os.ok("alarm", { us: 1000n });
      const name = await os.find((f) => (f.$case === "signal" ? f.value.name : undefined));
      expect(name).toBe("ALRM");
    },
  ],
  [
    "time.alarm tells what was left of the former",
    async (os) => {
      expect((await os.ok("alarm", { us: 60_000_000n })).leftUs).toBe(0n);
      expect((await os.ok("alarm", { us: 0n })).leftUs).toBeGreaterThan(0n);
      expect((await os.ok("alarm", { us: 0n })).leftUs).toBe(0n);
    },
  ],
  [
    "time.schedule puts mail into the caller's inbox when it is due",
    async (os) => {
      const name = fresh("each-second");
      await os.ok("schedule", { name, cron: "* * * * * *", inbox: true });
      expect(words((await os.ok("recv")).body)).toContain(name);
      await os.ok("scheduleRemove", { name });
    },
  ],
  [
    "time.schedules lists what is set, and time.unschedule takes it away",
    async (os) => {
      const name = fresh("yearly");
      const timezone = "Europe/Berlin";
      const set = await os.ok("schedule", { name, cron: NEVER_SOON, timezone, signal: "USR1" });
      const listed = async () =>
        (await os.ok("scheduleList")).schedules.filter((s) => s.name === name);
      expect(await listed()).toMatchObject([
        { id: set.id, cron: NEVER_SOON, timezone, nextMs: set.nextMs, fired: 0n },
      ]);
      await os.ok("scheduleRemove", { name });
      expect(await listed()).toEqual([]);
    },
  ],
  fails("time.schedule of a name that is taken", "EEXIST", async (os) => {
    const name = fresh("twice");
    await os.ok("schedule", { name, cron: NEVER_SOON, inbox: true });
    const again = await os.ask("schedule", { name, cron: NEVER_SOON, inbox: true });
    await os.ok("scheduleRemove", { name });
    return again;
  }),
  fails("time.schedule to nobody", "EINVAL", (os) =>
    os.ask("schedule", { name: fresh("s"), cron: NEVER_SOON }),
  ),
  fails("time.schedule to a mailbox that is not there", "ENOENT", (os) =>
    os.ask("schedule", { name: fresh("s"), cron: NEVER_SOON, mailbox: fresh("none") }),
  ),
  fails("time.schedule in no time zone", "EINVAL", (os) =>
    os.ask("schedule", { name: fresh("s"), cron: NEVER_SOON, inbox: true, timezone: "Mars/Base" }),
  ),
  fails("time.unschedule of nothing", "ENOENT", (os) =>
    os.ask("scheduleRemove", { name: fresh("none") }),
  ),
];

export const SYS: readonly Case[] = [
  [
    "sys.stats tells of this door",
    async (os, door) => {
      const name = door.name === "tls" ? "grpcs" : door.name;
      const { door: all } = await os.ok("stats");
      const own = all.find((one) => one.door === name);
      expect(own?.connections).toBeGreaterThan(0);
      expect(own?.attached).toBeGreaterThan(0n);
    },
  ],
  [
    "sys.stats tells what waits in the kernel's queues",
    async (os) => {
      await os.ok("send", { pid: os.welcome.pid, body: Buffer.alloc(100) });
      const { handle } = await os.ok("open", { type: "mailbox", name: fresh("box") });
      await os.ok("send", { body: Buffer.alloc(10) }, { handle });
      const { writeHandle } = await os.ok("open", { type: "pipe" });
      await os.ok("pipeWrite", { data: Buffer.alloc(7) }, { handle: writeHandle });
      os.call("recv", {}, { handle: (await os.ok("subscribe", { pattern: fresh("s") })).handle });
      const { queue } = await os.ok("stats");
      const of = (name: string) => queue.find((one) => one.queue === name);
      for (const [name, bytes] of [
        ["inboxes", 100n],
        ["mailboxes", 10n],
        ["pipes", 7n],
      ] as const) {
        expect(of(name)?.length, name).toBeGreaterThan(0n);
        expect(of(name)?.bytes, name).toBeGreaterThanOrEqual(bytes);
      }
      // What it called before it has not acknowledged; this call itself is in flight.
      expect(of("results")?.length).toBeGreaterThan(0n);
      expect(of("calls")?.length).toBeGreaterThan(1n);
      for (const name of ["audit", "questions", "events"]) {
        expect(of(name)?.limit, name).toBeGreaterThan(0n);
      }
      for (const name of ["subscriptions", "requests", "links"]) expect(of(name)).toBeDefined();
    },
  ],
  [
    "sys.stats tells how long each kind of call took",
    async (os) => {
      const times = async () => {
        const { callTime, timeBoundsUs } = await os.ok("stats");
        const all = callTime.find(({ call }) => call === "time.sleep")?.bucket ?? [];
        const longer = timeBoundsUs.findIndex((us) => us > 20_000n);
        return {
          all: sum(all),
          long: sum(all.slice(longer)),
          bounds: timeBoundsUs.length,
          of: all,
        };
      };
      const sum = (counts: readonly bigint[]): bigint => counts.reduce((a, b) => a + b, 0n);
      const before = await times();
      await os.ok("sleep", { us: 30_000n });
      const after = await times();
      expect([after.all - before.all, after.long - before.long]).toEqual([1n, 1n]);
      expect(after.of.length).toBe(after.bounds + 1);
    },
  ],
  [
    "sys.limits tells what the caller may have, and has",
    async (os) => {
      const { limits } = await os.ok("limits");
      const own = limits.find(({ quota, of }) => quota === "processes" && of === "principal");
      expect(own?.limit).toBeGreaterThan(0n);
      expect(own?.used).toBeGreaterThan(0n);
    },
  ],
  [
    "sys.log writes a line",
    async (os) => {
      await os.ok("log", { level: "warn", message: "through the door", fields: '{"n":1}' });
    },
  ],
  fails("sys.log at no level", "EINVAL", (os) => os.ask("log", { level: "loud", message: "x" })),
  fails("sys.log with fields that are none", "EINVAL", (os) =>
    os.ask("log", { message: "x", fields: "[1]" }),
  ),
  fails("sys.log of a book", "EMSGSIZE", (os) => os.ask("log", { message: "x".repeat(70_000) })),
  [
    "sys.sched tells the policy, and sys.schedSet sets it",
    async (os) => {
      const before = await os.ok("sched");
      expect(before.policies).toContain(before.policy);
      await os.ok("schedSet", { quantum: before.quantum + 1 });
      expect((await os.ok("sched")).quantum).toBe(before.quantum + 1);
      await os.ok("schedSet", { quantum: before.quantum });
    },
  ],
  fails("sys.schedSet of no policy", "EINVAL", (os) => os.ask("schedSet", { policy: "luck" })),
];

/** A child that goes on until it is ended. */
const child = async (os: DoorClient, more: object = {}): Promise<bigint> =>
  (await os.ok("spawn", { argv: FOREVER, ...more })).pid;

export const PROCS: readonly Case[] = [
  [
    "proc.stop ends a child, and waits until it is over",
    async (os) => {
      const pid = await child(os);
      await os.ok("stop", { pid, graceUs: 5_000_000n });
      expect((await os.ok("wait", { pid })).pid).toBe(pid);
    },
  ],
  fails("proc.stop of oneself", "EINVAL", (os) => os.ask("stop", { pid: os.welcome.pid })),
  fails("proc.stop of nobody", "ESRCH", (os) => os.ask("stop", { pid: NOBODY })),
  [
    "proc.supervise makes a group, and proc.stopGroup ends all of it",
    async (os) => {
      const { group } = await os.ok("supervise", { strategy: "one_for_one" });
      const pids = [await child(os, { supervisor: group }), await child(os, { supervisor: group })];
      await os.ok("stopGroup", { group, graceUs: 5_000_000n });
      const alive = (await os.ok("ps")).procs.map(({ pid }) => pid);
      expect(alive.filter((pid) => pids.includes(pid))).toEqual([]);
    },
  ],
  fails("proc.supervise by no strategy", "EINVAL", (os) =>
    os.ask("supervise", { strategy: "hope" }),
  ),
  fails("proc.stopGroup of none", "ESRCH", (os) => os.ask("stopGroup", { group: NOBODY })),
  [
    "proc.watchdog is set and taken away, and proc.heartbeat keeps it quiet",
    async (os) => {
      await os.ok("watchdog", { watchdogUs: 60_000_000n });
      await os.ok("heartbeat");
      await os.ok("watchdog", { watchdogUs: 0n });
    },
  ],
  fails("proc.watchdog of no time at all", "EINVAL", (os) =>
    os.ask("watchdog", { watchdogUs: 1n }),
  ),
  [
    "proc.wait for any child, and proc.spawn that passes a handle on",
    async (os) => {
      const { handle } = await os.ok("capOpen", { object: "process", id: os.welcome.pid });
      const capabilities = [{ handle, rights: 1, outlives: false }];
      const { pid, handles } = await os.ok("spawn", {
        ...{ argv: [process.execPath, "-e", "process.exit(7)"], capabilities },
      });
      expect(handles).toHaveLength(1);
      expect(await os.ok("wait", { pid: 0n })).toMatchObject({ pid, exitCode: 7, cause: "exit" });
    },
  ],
  fails("proc.kill with no signal that there is", "EINVAL", (os) =>
    os.ask("kill", { pid: os.welcome.pid, signal: "HELLO" }),
  ),
];

/** A context from which the pager has moved something out. */
async function overfull(os: DoorClient): Promise<number> {
  const { handle } = await os.ok("ctxCreate", { overflow: "oldest" });
  const append = async (content: string) => {
    const messages = [{ role: "user", content }];
    const input = { $case: "chat" as const, value: { messages } };
    return os.ok("ctxAppend", { input }, { handle });
  };
  await append("My dog is called Bartholomew.");
  for (let turn = 0; turn < 40; turn++) {
    const { edit } = await append(`Turn ${turn}: ${"of the sea and the hills ".repeat(8)}`);
    if (edit) return handle;
  }
  throw new Error("nothing was moved out");
}

export const CONTEXTS: readonly Case[] = [
  [
    "ctx.filed finds what was moved out, ctx.recall brings it back, ctx.forget drops it",
    async (os) => {
      const handle = await overfull(os);
      const { segments, count } = await os.ok("ctxFiled", { query: "dog Bartholomew" }, { handle });
      expect(count).toBeGreaterThan(0);
      const segment = segments[0]?.segment ?? 0;
      expect(segments[0]?.begins).toContain("My dog");
      const what = { $case: "segment" as const, value: segment };
      const recalled = await os.ok("ctxRecall", { what }, { handle });
      expect(recalled.text).toContain("Bartholomew");
      expect(recalled.appended).toBeGreaterThan(0);
      await os.ok("ctxForget", { segments: [segment] }, { handle });
      expect(await os.ask("ctxRecall", { what }, { handle })).toBe("ENOENT");
    },
  ],
  [
    "ctx.filed of a context that has room",
    async (os) => {
      const { handle } = await context(os);
      expect(await os.ok("ctxFiled", {}, { handle })).toMatchObject({ count: 0, segments: [] });
    },
  ],
  fails("ctx.forget of what was not moved out", "ENOENT", async (os) => {
    const { handle } = await context(os);
    return os.ask("ctxForget", { segments: [99] }, { handle });
  }),
  [
    "ctx.fork of a part",
    async (os) => {
      const { handle } = await context(os);
      const fork = await os.ok("ctxFork", { length: 2 }, { handle });
      expect((await os.ok("ctxStat", {}, { handle: fork.handle })).length).toBe(2);
    },
  ],
  fails("ctx.truncate to more than there is", "EINVAL", async (os) => {
    const { handle } = await context(os);
    return os.ask("ctxTruncate", { length: 4000 }, { handle });
  }),
  [
    "ctx.give moves a context to another process",
    async (os, door) => {
      await withPeer(door, async (peer) => {
        const { handle, cid } = await context(os);
        const given = await os.ok("ctxGive", { pid: peer.welcome.pid }, { handle });
        await peer.ok("ctxAppend", { input: text("five") }, { handle: given.handle });
        expect(await os.ask("ctxAppend", { input: text("six") }, { handle })).toBe("EBADF");
        expect((await peer.ok("ctxStat", { cid })).owner).toBe(peer.welcome.pid);
      });
    },
  ],
  fails("ctx.create for a model that there is not", "EMODEL", (os) =>
    os.ask("ctxCreate", { model: "no-such-model" }),
  ),
  fails("ctx.create with no such overflow", "EINVAL", (os) =>
    os.ask("ctxCreate", { overflow: "burst" }),
  ),
];
