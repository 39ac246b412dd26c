/** Who may hear of the kernel, and what becomes of events that nobody takes. */
import { expect, it } from "vitest";
import { BareKernel } from "../../test/support/bare-kernel.js";
import { namespaceGift } from "../cap/births.js";
import { RIGHTS } from "../cap/rights.js";
import { ALL_SCOPES } from "../cap/scopes.js";
import { EventFeed } from "./nats-events.js";
import { hearingOf } from "./nats-hearing.js";

it("one hears what one may look at, and for as long", () => {
  const w = new BareKernel();
  const heard = (being: Parameters<BareKernel["process"]>[0]): readonly string[] =>
    hearingOf(w.kernel, w.process(being)).subjects;
  const own = namespaceGift("alice", ["*"]);
  expect(heard({ gifts: [own] })).toEqual(["ctx.events.n1.alice.>"]);
  const everybody = namespaceGift("admin", ALL_SCOPES);
  expect(heard({ gifts: [everybody] })).toEqual(["ctx.events.n1.>", "ctx.audit.n1.head"]);
  expect(heard({ gifts: [] })).toEqual([]);
  expect(heard({ gifts: [{ ...own, rights: RIGHTS.write }] })).toEqual([]);
  expect(heard({ gifts: [namespaceGift("bob", ["*"])] })).toEqual([]);
  expect(heard({ gifts: [own], scopes: ["llm"] })).toEqual([]);
  expect(hearingOf(w.kernel, undefined).subjects).toEqual([]);
  const short = w.process({ gifts: [{ ...own, expires: w.now + 5_000 }] });
  expect(hearingOf(w.kernel, short)).toMatchObject({ until: w.now + 5_000 });
  w.pass(5_000);
  expect(hearingOf(w.kernel, short).subjects).toEqual([]);
});

it("no name of a principal reaches into another's subjects", () => {
  const w = new BareKernel();
  for (const principal of ["*", ">", "a.b", "_kernel", "a b", "é", ""]) {
    const pid = w.process({ principal, gifts: [namespaceGift(principal, ["*"])] });
    for (const subject of hearingOf(w.kernel, pid).subjects.filter((s) => s.includes(".events."))) {
      if (principal !== "*") expect(subject).toMatch(/^ctx\.events\.n1\.[\w-]+\.>$/);
      expect(subject).not.toContain("._kernel.");
    }
  }
});

it("events that the server does not take are bounded and counted, and the next message says so", async () => {
  const told: { seq: number; missed: number; event: string }[] = [];
  let up = true;
  let taken = (): void => {};
  const line = {
    publish: (_: string, body: Uint8Array) => {
      if (up) told.push(JSON.parse(Buffer.from(body).toString()));
      return up;
    },
    taken: () =>
      new Promise<void>((resolve) => {
        taken = resolve;
      }),
  };
  const feed = new EventFeed(line, new BareKernel().kernel.clock);
  const hear = (event: string): void => feed.hear({ principal: "alice", name: event, facts: {} });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  hear("a.first");
  await turn();
  // The server takes nothing more: so many wait, and no more.
  for (let i = 0; i < 5000; i++) hear("a.flood");
  expect(told).toHaveLength(1);
  taken();
  await turn();
  expect(told).toHaveLength(1 + 4096);
  expect(feed.figures.lost).toBe(5000 - 4096);
  expect(told.at(1)).toMatchObject({ seq: 2, missed: 5000 - 4096 });
  expect(told.at(2)).toMatchObject({ seq: 3, missed: 0 });
  // The line is down: nothing is kept for later.
  taken();
  await turn();
  up = false;
  hear("a.down");
  hear("a.down");
  await turn();
  taken();
  await turn();
  up = true;
  hear("a.back");
  await turn();
  expect(told.at(-1)).toMatchObject({ event: "a.back", seq: 5004, missed: 2 });
  expect(feed.figures.lost).toBe(5000 - 4096 + 2);
});
