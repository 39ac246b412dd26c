/**
 * Multi-level feedback queues, as in "Operating Systems: Three Easy Pieces", chapter 8, with
 * processes as jobs and tokens as time.
 *
 * 1. The process of the higher level runs; of one level they take turns, and a turn is twice
 *    as long on each level below.
 * 2. A new process begins on the highest level.
 * 3. Who has used the allotment of a level, in however many calls, goes down one level.
 * 4. Every `boostUs` all begin anew on the highest level.
 *
 * So whoever asks for little is served at once, without anybody saying who that is. The
 * boost is not an event: time is cut into ages of `boostUs`, and levels are of one age.
 * Whoever waits when an age begins goes before all that begin to wait in it (`dueAt`), so
 * nobody waits longer than an age and a turn of each who waited then.
 */
import { Account, type BurstView, costOf, type Policy } from "../policy.js";

const LEVELS = 8;

/** What it has used says how far down it is, in the age of which that is. */
class Process extends Account {
  age = 0;
  /** In tokens generated. */
  used = 0;
  level = 0;
  /** Bursts that are not over. */
  bursts = 0;
}

/** @param quantum tokens of a turn on the highest level @param boostUs length of an age */
export function mlfq(quantum: number, boostUs: number): Policy {
  const processes = new Map<bigint, Process>();
  /** Those without bursts, who has been without longest first. */
  const idle = new Map<bigint, Process>();
  let age = 0;

  function turnTo(now: number): void {
    age = Math.max(age, Math.floor(now / boostUs));
  }

  /** Its process, as it is in this age. */
  function of({ account }: BurstView): Process {
    if (!(account instanceof Process)) throw new Error("a burst that has not entered");
    if (account.age < age) {
      account.age = age;
      account.used = 0;
      account.level = 0;
    }
    return account;
  }

  /** Those that have done nothing in this age are as new ones. */
  function forget(): void {
    for (const [pid, process] of idle) {
      if (process.age === age) return;
      idle.delete(pid);
      processes.delete(pid);
    }
  }

  /** Allotments are turns: quantum, 2 * quantum, 4 * quantum, … one after the other. */
  function levelAt(used: number): number {
    return Math.min(LEVELS - 1, Math.floor(Math.log2(used / policy.quantum + 1)));
  }

  const policy: Policy = {
    name: "mlfq",
    quantum,
    preemptive: true,
    entered({ spec: { pid } }) {
      forget();
      let process = processes.get(pid);
      if (!process) {
        process = new Process();
        processes.set(pid, process);
      }
      if (process.bursts++ === 0) idle.delete(pid);
      return process;
    },
    place(burst, now) {
      turnTo(now);
      const since = Math.floor(burst.readySince / boostUs);
      return { key: of(burst).level, dueAt: (since + 1) * boostUs };
    },
    compare: (a, b) => of(a).level - of(b).level || a.quantumUsed - b.quantumUsed,
    yields(burst, head, now) {
      turnTo(now);
      const { level } = of(burst);
      const other = head.due ? 0 : of(head.burst).level;
      if (level !== other) return level > other;
      return burst.quantumUsed >= policy.quantum * 2 ** level;
    },
    served(burst, service) {
      const process = of(burst);
      process.used += costOf(service);
      process.level = levelAt(process.used);
    },
    over(burst) {
      const process = of(burst);
      if (--process.bursts === 0) idle.set(burst.spec.pid, process);
    },
  };
  return policy;
}
