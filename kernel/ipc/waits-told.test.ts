/** What eviction policies hear of a process that waits in a call: what for. */
import { expect, it } from "vitest";
import { bytes, IpcWorld } from "../../test/support/ipc-world.js";

/** Two processes; the first one has a context, of whose waits is heard. */
function pair() {
  const world = new IpcWorld();
  const [one, two] = [world.agent(), world.agent()];
  world.context(one);
  const kinds = (): string[] => world.waits.splice(0).map(({ kind }) => kind);
  return { world, one, two, kinds };
}

it("each kind of call that waits is a kind of wait of its own", async () => {
  const { world, one, two, kinds } = pair();
  const pipe = await world.open(one, "pipe", "p", { end: "read" });
  const [mine, theirs] = [await world.open(one, "lock", "l"), await world.open(two, "lock", "l")];
  const barrier = await world.open(one, "barrier", "b", { parties: 2 });
  await world.ask(two, "lock", {}, theirs);
  const child = world.process({ parent: one });
  const calls = [
    ["recv", {}, 0, "message"],
    ["request", { pid: two }, 0, "reply"],
    ["pipeRead", {}, pipe, "pipe"],
    ["lock", {}, mine, "lock"],
    ["barrierWait", {}, barrier, "barrier"],
    ["wait", { pid: child }, 0, "child"],
    ["askList", { wait: true }, 0, "question"],
    ["sleep", { us: 5n }, 0, "timer"],
  ] as const;
  for (const [name, args, handle, kind] of calls) {
    void world.call(one, name, args, handle);
    expect(kinds(), name).toEqual([kind]);
  }
});

it("a writer waits while its pipe is full", async () => {
  const { world, one, kinds } = pair();
  const { writeHandle } = await world.ask(one, "open", { type: "pipe", capacity: 16_384 });
  void world.call(one, "pipeWrite", { data: Buffer.alloc(16_384) }, writeHandle);
  expect(kinds()).toEqual([]);
  void world.call(one, "pipeWrite", { data: bytes("x") }, writeHandle);
  expect(kinds()).toEqual(["pipe"]);
});

it("a call that is answered at once is no wait", async () => {
  const { world, one, two, kinds } = pair();
  const { handle, writeHandle } = await world.ask(one, "open", { type: "pipe" });
  const lock = await world.open(one, "lock", "l");
  await world.ask(one, "pipeWrite", { data: bytes("x") }, writeHandle);
  await world.ask(two, "send", { pid: one, body: bytes("x") });
  await world.ask(one, "recv");
  await world.ask(one, "pipeRead", {}, handle);
  await world.ask(one, "lock", {}, lock);
  expect(kinds()).toEqual([]);
});
