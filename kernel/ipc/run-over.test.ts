import { expect, it } from "vitest";
import { IpcWorld } from "../../test/support/ipc-world.js";

const bytes = (text: string) => Buffer.from(text);

/** Two processes; the second one's run ends, and another will begin. */
function pair() {
  const world = new IpcWorld();
  const [one, two] = [world.agent(), world.agent()];
  return { world, one, two, runOver: () => world.kernel.ipc.runOver(two) };
}

it("what a run had leased is delivered again, and its own mailbox is kept", async () => {
  const { world, one, two, runOver } = pair();
  const theirs = await world.open(two, "mailbox", "jobs");
  const mine = await world.open(one, "mailbox", "jobs");
  await world.ask(one, "send", { body: bytes("job") }, mine);
  await world.ask(one, "send", { pid: two, body: bytes("letter") });
  await world.ask(two, "recv", { visibilityUs: 60_000_000n }, theirs);
  await world.ask(two, "recv", { visibilityUs: 60_000_000n });
  runOver();
  expect((await world.ask(one, "recv", {}, mine)).body.toString()).toBe("job");
  expect((await world.ask(two, "recv")).body.toString()).toBe("letter");
});

it("what a run had locked is free", async () => {
  const { world, one, two, runOver } = pair();
  const theirs = await world.open(two, "lock", "l");
  const mine = await world.open(one, "lock", "l");
  await world.ask(two, "lock", {}, theirs);
  await expect(world.ask(one, "lock", { try: true }, mine)).rejects.toThrow("EBUSY");
  runOver();
  await world.ask(one, "lock", { try: true }, mine);
});

it("a request that a run had received fails; one that it had not waits for the next", async () => {
  const { world, one, two, runOver } = pair();
  const first = world.ask(one, "request", { pid: two, body: bytes("a") });
  const { id } = await world.ask(two, "recv", { requests: true });
  const second = world.ask(one, "request", { pid: two, body: bytes("b") });
  runOver();
  await expect(first).rejects.toThrow("was started again before it replied");
  await expect(world.ask(two, "reply", { id, body: bytes("late") })).rejects.toThrow("ENOENT");
  const again = await world.ask(two, "recv", { requests: true });
  await world.ask(two, "reply", { id: again.id, body: bytes("b it is") });
  expect((await second).body.toString()).toBe("b it is");
});
