import { describe, expect, it } from "vitest";
import { ConfigSchema } from "../../config.js";
import { memoryJournal } from "../../journal/journal.js";
import { PageQuotas } from "../../mm/page-quotas.js";
import { Accounts } from "../../proc/accounts.js";
import { Rates } from "./rates.js";

const SECOND = 1_000_000;

/** Rates with 20 faults a second, unless the principal `team` has a quota of its own. */
function make(quota: Record<string, number> = {}) {
  const time = { now: 0 };
  const clock = { now: () => time.now, wall: () => 0, after: () => () => {} };
  const journal = memoryJournal();
  const config = ConfigSchema.parse({ home: "/nowhere" });
  const pages = new PageQuotas(config.limits, journal);
  const rates = new Rates({ clock, journal, accounts: new Accounts(), config, pages });
  journal.append({ type: "principal.added", name: "team", createdAt: 0, quota });
  const { faults } = rates;
  const charge = (n: number, principal = "team") => {
    const all = Array.from({ length: n }, () => faults.charge(principal));
    return {
      waits: all.map(({ waitUs }) => waitUs),
      begins: all.filter((one) => one.begins).length,
    };
  };
  return { rates, faults, journal, time, charge };
}

describe("faults of a principal", () => {
  it("hold nobody up as long as there are few: a burst, and then its rate", () => {
    const { charge, time } = make();
    expect(charge(199).waits.every((wait) => wait === 0)).toBe(true);
    expect(charge(1).waits).toEqual([SECOND / 20]);
    time.now += SECOND;
    expect(charge(19).waits.every((wait) => wait === 0)).toBe(true);
    expect(charge(2).waits).toEqual([SECOND / 20, SECOND / 10]);
  });

  it("are its own: another's are counted apart", () => {
    const { charge } = make();
    charge(250);
    expect(charge(100, "other").waits.every((wait) => wait === 0)).toBe(true);
  });

  it("have a rate that its record may set; 0 is none", () => {
    expect(make({ faultsPerSecond: 1 }).charge(11).waits.slice(9)).toEqual([SECOND, 2 * SECOND]);
    const { charge, faults } = make({ faultsPerSecond: 0 });
    expect(charge(10_000).waits.every((wait) => wait === 0)).toBe(true);
    expect([faults.fine("team"), faults.debt("team").waitUs, faults.used("team")]).toEqual([
      0, 0, 0,
    ]);
  });

  it("owe at most what it might have kept, whoever sends them by how many ways", () => {
    const { charge } = make();
    const { waits } = charge(100_000);
    expect(waits.at(-1)).toBe(10 * SECOND + SECOND / 20);
  });

  it("begin once, until the bucket is full again", () => {
    const { charge, time } = make();
    expect(charge(300).begins).toBe(1);
    time.now += 8 * SECOND;
    expect(charge(300).begins).toBe(0);
    time.now += 30 * SECOND;
    expect(charge(300).begins).toBe(1);
  });

  it("are fined when it sends on: two seconds, however much it owed", () => {
    const { charge, faults } = make();
    charge(200);
    expect(faults.fine("team")).toBe(2 * SECOND + SECOND / 20);
    expect(faults.fine("team")).toBe(2 * SECOND + SECOND / 20);
    charge(100);
    const owed = faults.debt("team").waitUs;
    expect(faults.fine("team")).toBe(owed);
  });

  it("are a debt of which the first refusal is told apart, until it is paid", () => {
    const { charge, faults, time } = make();
    charge(10);
    expect(faults.debt("team")).toMatchObject({ waitUs: 0, first: false });
    charge(190);
    expect(faults.debt("team")).toEqual({ waitUs: SECOND / 20, first: true });
    expect(faults.debt("team").first).toBe(false);
    time.now += SECOND / 20;
    expect(faults.debt("team").waitUs).toBe(0);
    time.now += 60 * SECOND;
    charge(200);
    expect(faults.debt("team").first).toBe(true);
  });

  it("are reported with what is in use", () => {
    const { rates, journal, charge } = make();
    journal.append({
      ...{ type: "proc.created", pid: 1n, parent: 0n, name: "p", principal: "team", nice: 0 },
      ...{ spawned: false, log: "", at: 0 },
    });
    charge(30);
    const process = journal.state.processes.get(1n);
    if (process === undefined) throw new Error("there is no process");
    const told = rates.report(process).filter(({ quota }) => quota === "faultsPerSecond");
    expect(told).toEqual([{ quota: "faultsPerSecond", of: "principal", limit: 20, used: 30 }]);
  });

  it("are not forgotten with a principal that does nothing else", () => {
    const { charge, faults } = make();
    charge(300);
    for (let i = 0; i < 3000; i++) faults.charge(`p${i}`);
    expect(faults.debt("team").waitUs).toBeGreaterThan(0);
  });
});
