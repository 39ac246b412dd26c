import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../clock.js";
import { memoryJournal } from "../../journal/journal.js";
import type { RestartPolicy, Strategy } from "./decide.js";
import { START_GRACE_US, Supervisor } from "./supervisor.js";

const OWNER = 1n;
const KILLED = { code: 137, cause: "signal KILL" };
const DONE = { code: 0, cause: "exit" };

/** A supervisor over programs that are only names; what it does with them is told in `log`. */
class World {
  readonly journal = memoryJournal();
  readonly log: string[] = [];
  readonly running = new Set<bigint>();
  readonly over = new Map<bigint, string>();
  now = 0;
  /** Who does not end when it is asked to. */
  readonly stubborn = new Set<bigint>();
  readonly paused = new Set<bigint>();
  startFails = "";
  readonly supervisor: Supervisor;
  readonly #timers = new Map<() => void, number>();

  constructor() {
    const clock: Clock = {
      now: () => this.now,
      wall: () => 0,
      after: (us, fn) => {
        this.#timers.set(fn, this.now + us);
        return () => void this.#timers.delete(fn);
      },
    };
    this.supervisor = new Supervisor(this.journal, clock, {
      start: async (pid) => {
        if (this.startFails !== "") throw new Error(this.startFails);
        this.log.push(`${this.now}: start ${pid}`);
        this.running.add(pid);
      },
      signal: (pid, name) => {
        expect(this.running.has(pid), `${name} to ${pid}, which has no run`).toBe(true);
        this.log.push(`${this.now}: ${name} ${pid}`);
        if (name === "TERM" && this.stubborn.has(pid)) return;
        // An OS process ends some time later, never within the call that asks it to.
        this.#timers.set(() => this.end(pid, { code: 143, cause: `signal ${name}` }), this.now);
      },
      over: (pid, code, cause) => this.end(pid, { code, cause }, true),
      stopped: (pid) => this.paused.has(pid),
    });
    this.create(OWNER);
  }

  create(pid: bigint): void {
    const of = { parent: 0n, name: "", principal: "admin", nice: 0, spawned: true, log: "", at: 0 };
    this.journal.append({ type: "proc.created", pid, ...of });
    this.running.add(pid);
  }

  group(strategy: Strategy, max: number, id = 50n): void {
    const of = { owner: OWNER, principal: "admin", strategy, max, withinUs: 1000, solo: false };
    this.journal.append({ type: "supervise.group", group: id, ...of });
  }

  member(pid: bigint, policy: RestartPolicy, watchdogUs = 0, group = 50n): void {
    this.create(pid);
    const backoff = { firstUs: 10, mostUs: 100 };
    this.journal.append({
      type: "supervise.joined",
      group,
      pid,
      policy,
      backoff,
      watchdogUs,
      ownHeartbeat: true,
    });
    this.supervisor.began(pid);
  }

  /** The run of a program ends; `force`: also of one that has none. */
  end(pid: bigint, end = KILLED, force = false): void {
    if (!this.running.delete(pid) && !force) return;
    const fate = this.supervisor.onExit(pid, end);
    if (!fate.over) return;
    this.over.set(pid, fate.cause);
    this.journal.append({ type: "proc.exited", pid, ...fate, at: this.now });
  }

  /** Time passes, event by event. */
  async pass(us: number): Promise<void> {
    const until = this.now + us;
    await settled();
    for (;;) {
      const [next] = [...this.#timers].sort(([, a], [, b]) => a - b);
      if (!next || next[1] > until) break;
      this.now = Math.max(this.now, next[1]);
      this.#timers.delete(next[0]);
      next[0]();
      await settled();
    }
    this.now = until;
    await settled();
  }

  /** Why the group starts nothing any more; "": it lives. */
  get ending(): string {
    return this.journal.state.supervision.groups.get(50n)?.ending ?? "over";
  }

  get groups(): number {
    return this.journal.state.supervision.groups.size;
  }
}

describe("one_for_one", () => {
  it("starts again whoever ended, after a pause that doubles, and nobody else", async () => {
    const world = new World();
    world.group("one_for_one", 5);
    world.member(2n, "on-failure");
    world.member(3n, "on-failure");
    world.end(2n);
    expect(world.supervisor.between(2n)).toEqual({ endedAt: 0, due: 10 });
    await world.pass(10);
    world.end(2n);
    await world.pass(30);
    world.end(3n);
    await world.pass(10);
    expect(world.log).toEqual(["10: start 2", "30: start 2", "50: start 3"]);
    expect(world.over.size).toBe(0);
  });

  it("gives up as a group, and says why to all", async () => {
    const world = new World();
    world.group("one_for_one", 1);
    world.member(2n, "always");
    world.member(3n, "always");
    world.end(2n);
    await world.pass(10);
    world.end(2n);
    await world.pass(100);
    const why = "gave up after 1 restart within 0.001 s: n0.2 ended by signal KILL";
    expect([...world.over]).toEqual([
      [2n, `signal KILL; ${why}`],
      [3n, `its group ${why}`],
    ]);
    expect(world.log).toEqual(["10: start 2", "10: TERM 3"]);
  });

  it("ends with the last of its members when its owner is over", async () => {
    const world = new World();
    world.group("one_for_one", 1);
    world.member(2n, "never");
    world.end(OWNER, DONE);
    expect(world.groups).toBe(1);
    world.end(2n);
    expect(world.groups).toBe(0);
    world.group("one_for_one", 1, 51n);
    expect(world.groups).toBe(1);
  });
});

describe("all_for_one", () => {
  it("ends the others, waits until all have ended, and starts all in their order", async () => {
    const world = new World();
    world.group("all_for_one", 5);
    world.member(2n, "on-failure");
    world.member(3n, "on-failure");
    world.member(4n, "never");
    world.member(5n, "always");
    world.stubborn.add(2n);
    world.end(3n);
    await world.pass(4_999_999);
    expect(world.log).toEqual(["0: TERM 2", "0: TERM 4", "0: TERM 5"]);
    await world.pass(10);
    expect(world.log.slice(3)).toEqual([
      "5000000: KILL 2",
      "5000000: start 2",
      "5000000: start 3",
      "5000000: start 5",
    ]);
    expect([...world.over]).toEqual([[4n, "its group restarted"]]);
    // The others' ends were the group's doing: one restart was made.
    expect(world.journal.state.supervision.groups.get(50n)?.restarts).toEqual([{ pid: 3n, at: 0 }]);
  });

  it("lets who waits for its next run be: it begins it with the others, and keeps it", async () => {
    const world = new World();
    world.group("all_for_one", 5);
    world.member(2n, "on-failure");
    world.end(2n);
    await world.pass(5);
    // Nobody else ran when it ended, and who joins now fails too before it is back.
    world.member(3n, "on-failure");
    world.end(3n);
    expect(world.supervisor.between(2n)).toEqual({ endedAt: 0, due: 25 });
    await world.pass(20_000_000);
    expect(world.log).toEqual(["25: start 2", "25: start 3"]);
    expect([...world.running]).toEqual([OWNER, 2n, 3n]);
  });
});

describe("a watchdog", () => {
  it("kills and starts again who is not heard of, and says so at the end", async () => {
    const world = new World();
    world.group("one_for_one", 1);
    world.member(2n, "on-failure", 1000);
    await world.pass(START_GRACE_US - 1);
    world.supervisor.pat(2n);
    await world.pass(999);
    expect(world.log).toEqual([]);
    world.supervisor.pat(2n);
    await world.pass(1000);
    expect(world.log.map((line) => line.replace(/^\d+: /, ""))).toEqual(["KILL 2"]);
    await world.pass(10 + START_GRACE_US);
    expect(world.over.get(2n)).toBe(undefined);
    world.supervisor.watchdog(2n, 0);
    await world.pass(10 * START_GRACE_US);
    expect(world.running.has(2n)).toBe(true);
  });

  it("lets whoever was stopped on purpose be", async () => {
    const world = new World();
    world.group("one_for_one", 0);
    world.member(2n, "always", 1000);
    world.supervisor.pat(2n);
    world.paused.add(2n);
    await world.pass(5000);
    expect(world.log).toEqual([]);
    world.paused.delete(2n);
    await world.pass(1000);
    expect(world.over.get(2n)).toMatch(/^hung: no heartbeat for 0.001 s; gave up after 0 restarts/);
  });
});

describe("ends that are meant", () => {
  it("a stopped member is over whatever its policy, killed when it does not listen", async () => {
    const world = new World();
    world.group("one_for_one", 5);
    world.member(2n, "always");
    world.stubborn.add(2n);
    let stopped = false;
    void world.supervisor.stop(2n, 50).then(() => (stopped = true));
    await world.pass(49);
    expect(stopped).toBe(false);
    await world.pass(1);
    expect(stopped).toBe(true);
    expect(world.over.get(2n)).toBe("signal KILL");
  });

  it("a group stops in order, the last first, those that wait for a start before all", async () => {
    const world = new World();
    world.group("one_for_one", 5);
    for (const pid of [2n, 3n, 4n]) world.member(pid, "always");
    world.end(3n);
    let stopped = false;
    void world.supervisor.stopGroup(50n, 50).then(() => (stopped = true));
    await world.pass(500);
    expect(stopped).toBe(true);
    expect([...world.over.keys()]).toEqual([3n, 4n, 2n]);
    expect(world.groups).toBe(0);
  });

  it("a released one is never started again", () => {
    const world = new World();
    world.group("one_for_one", 5);
    world.member(2n, "always");
    world.supervisor.release(2n);
    world.end(2n);
    expect(world.over.get(2n)).toBe("signal KILL");
  });

  it("a program that is gone is a failed start, again and again, then the end", async () => {
    const world = new World();
    world.group("one_for_one", 2);
    world.member(2n, "on-failure");
    world.startFails = "no such program";
    world.end(2n);
    await world.pass(1000);
    expect(world.over.get(2n)).toMatch(/^spawn failed: no such program; gave up after 2 restarts/);
  });
});

describe("whatever happens", () => {
  it("nobody is lost: who is in the table runs, is due, or is ending", async () => {
    const policies = fc.constantFrom<RestartPolicy>("never", "on-failure", "always");
    const event = fc.record({
      kind: fc.constantFrom("end", "done", "stop", "pass", "pat", "stubborn", "join"),
      pid: fc.integer({ min: 2, max: 5 }).map(BigInt),
      us: fc.integer({ min: 0, max: 400 }),
    });
    const run = fc.record({
      strategy: fc.constantFrom<Strategy>("one_for_one", "all_for_one"),
      max: fc.integer({ min: 0, max: 4 }),
      members: fc.array(fc.record({ policy: policies, watchdogUs: fc.constantFrom(0, 300) }), {
        minLength: 1,
        maxLength: 4,
      }),
      events: fc.array(event, { maxLength: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(run, async ({ strategy, max, members, events }) => {
        const world = new World();
        world.group(strategy, max);
        for (const [i, { policy, watchdogUs }] of members.entries()) {
          world.member(BigInt(i + 2), policy, watchdogUs);
        }
        let count = members.length;
        for (const { kind, pid, us } of events) {
          if (kind === "join" && count < 4 && world.ending === "") {
            world.member(BigInt(++count + 1), members[0]?.policy ?? "always");
          } else if (world.running.has(pid)) {
            if (kind === "end") world.end(pid);
            else if (kind === "done") world.end(pid, DONE);
            else if (kind === "stop") void world.supervisor.stop(pid, 20);
            else if (kind === "pat") world.supervisor.pat(pid);
            else if (kind === "stubborn") world.stubborn.add(pid);
          }
          if (kind === "pass") await world.pass(us);
          check(world, count);
        }
        // Left alone, all come to rest: they run, or are over; nobody waits for ever.
        for (let pid = 2n; pid < 6n; pid++) world.supervisor.watchdog(pid, 0);
        await world.pass(20_000_000);
        const { groups } = world.journal.state.supervision;
        for (const { due } of groups.get(50n)?.members.values() ?? []) expect(due).toBe(undefined);
      }),
      { numRuns: 150, verbose: true },
    );
  });
});

/** Whatever waits on promises has gone on. */
async function settled(): Promise<void> {
  for (let i = 0; i < 8; i++) await Promise.resolve();
}

function check(world: World, count: number): void {
  const members = world.journal.state.supervision.groups.get(50n)?.members;
  for (let pid = 2n; pid < BigInt(count) + 2n; pid++) {
    const member = members?.get(pid);
    const states = [world.running.has(pid), member?.due !== undefined, world.over.has(pid)];
    expect(states.filter(Boolean).length, `${pid}: ${states}`).toBe(1);
  }
}
