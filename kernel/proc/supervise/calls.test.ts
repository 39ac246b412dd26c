import { expect, it } from "vitest";
import { ContixError } from "../../../proto/errno.js";
import { SpawnCall } from "../../../proto/gen/contix/v1/calls.js";
import { IpcWorld } from "../../../test/support/ipc-world.js";
import { supervisionOf } from "./births.js";

/** Whether a process may spawn into a group: "ok", or the errno. */
function join(world: IpcWorld, pid: bigint, supervisor: bigint, more: object = {}): string {
  const parent = world.state.processes.get(pid);
  if (!parent) throw new Error("no such process");
  try {
    supervisionOf(world.kernel, parent, SpawnCall.fromPartial({ supervisor, ...more }));
    return "ok";
  } catch (error) {
    return String((error as { code: string }).code);
  }
}

it("a group is its maker's to fill", async () => {
  const world = new IpcWorld();
  const [owner, stranger] = [world.agent(), world.agent()];
  const { group } = await world.ask(owner, "supervise", { strategy: "all_for_one", max: 0 });
  expect(join(world, owner, group)).toBe("ok");
  expect(join(world, stranger, group)).toBe("EPERM");
  expect(join(world, owner, group + 1n)).toBe("EPERM");
  expect(join(world, owner, group, { newSession: true })).toBe("EINVAL");
  expect(join(world, owner, group, { restart: { policy: "always", max: 1 } })).toBe("EINVAL");
  // It had no members yet: it is gone at once, with its id.
  await world.ask(owner, "stopGroup", { group });
  expect(join(world, owner, group)).toBe("EPERM");
});

it("a group is its principal's to stop, and an administrator's", async () => {
  const world = new IpcWorld();
  const [alice, bob, admin] = [world.agent("alice"), world.agent("bob"), world.agent("*")];
  const make = async () => (await world.ask(alice, "supervise")).group;
  const group = await make();
  expect(await world.outcome(bob, "stopGroup", { group })).toMatch(/^EPERM: .*another principal/);
  expect(await world.outcome(world.agent("alice"), "stopGroup", { group })).toBe("ok");
  expect(await world.outcome(admin, "stopGroup", { group: await make() })).toBe("ok");
  expect(await world.outcome(alice, "stopGroup", { group })).toMatch(/^ESRCH/);
});

it("wrong arguments are named", async () => {
  const world = new IpcWorld();
  const one = world.agent();
  const wrong = (name: Parameters<typeof world.outcome>[1], args: object) =>
    world.outcome(one, name, args);
  expect(await wrong("supervise", { strategy: "one" })).toMatch(/^EINVAL: .*one_for_one/);
  expect(await wrong("supervise", { max: 1001 })).toMatch(/^EINVAL: max is 1001/);
  expect(await wrong("watchdog", { watchdogUs: 10n })).toMatch(/^EINVAL: watchdog_us is 10/);
  expect(await wrong("stop", { pid: one })).toMatch(/^EINVAL/);
  expect(await wrong("stop", { pid: 999n })).toMatch(/^ESRCH/);
});

it("a process that watches itself is over when it is not heard of, whoever started it", async () => {
  const world = new IpcWorld();
  const one = world.agent();
  expect(await world.outcome(one, "watchdog", { watchdogUs: 1_000_000n })).toBe("ok");
  world.pass(900_000);
  expect(await world.outcome(one, "heartbeat")).toBe("ok");
  world.pass(900_000);
  expect(world.state.processes.get(one)?.exit).toBe(undefined);
  world.pass(100_000);
  expect(world.state.processes.get(one)?.exit?.cause).toBe("hung: no heartbeat for 1 s");
});

it("a process whose calls are refused for now is heard of all the same", async () => {
  const world = new IpcWorld();
  const one = world.agent();
  const { rates, config } = world.kernel;
  const admit = (): void => {
    throw new ContixError("EAGAIN", "over the quota requestsPerSecond");
  };
  await world.ask(one, "watchdog", { watchdogUs: 1_000_000n });
  Object.assign(rates, { admit });
  expect(await world.outcome(one, "alarm")).toMatch(/^EAGAIN: over/);
  world.pass(900_000);
  expect(await world.outcome(one, "heartbeat")).toBe("ok");
  Object.assign(rates, { admit: () => undefined });
  void world.call(one, "recv");
  Object.assign(config.limits, { callsPerProcess: 1 });
  world.pass(900_000);
  expect(await world.outcome(one, "heartbeat")).toMatch(/^EAGAIN: 1 calls/);
  world.pass(900_000);
  expect(world.state.processes.get(one)?.exit).toBe(undefined);
  world.pass(100_000);
  expect(world.state.processes.get(one)?.exit?.cause).toMatch(/^hung/);
});

it("a principal has only so many groups", async () => {
  const world = new IpcWorld();
  const one = world.agent();
  const most = world.kernel.config.limits.processesPerPrincipal;
  for (let i = 0; i < most; i++) await world.ask(one, "supervise");
  expect(await world.outcome(one, "supervise")).toMatch(/^EDQUOT/);
});
