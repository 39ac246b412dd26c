/** Over TCP a client that is not there any more is noticed, however silently it went. */
import { expect, onTestFinished, test } from "vitest";
import { BareKernel } from "../../test/support/bare-kernel.js";
import type { Door } from "../../test/support/door-client.js";
import { until } from "../../test/support/kernels.js";
import { RawGrpc } from "../../test/support/raw-grpc.js";
import { slowProxy } from "../../test/support/slow-proxy.js";
import { tokenHash } from "../cap/tokens.js";
import { systemClock } from "../clock.js";
import { Authenticator } from "./authenticate.js";
import { DoorBooks } from "./books.js";
import { openGrpcDoor } from "./grpc.js";

const TOKEN = "t".repeat(43);

test("a process is detached when its host has vanished, and no other is", async () => {
  const bare = new BareKernel();
  const kernel = { ...bare.kernel, clock: systemClock, doors: new DoorBooks() };
  const auth = new Authenticator(kernel, tokenHash(TOKEN));
  const keepalive = { everyMs: 20, patienceMs: 200 };
  const door = await openGrpcDoor(kernel, auth, ["127.0.0.1:0"], keepalive);
  onTestFinished(() => door.close());
  const port = Number(door.addresses[0]?.split(":").at(-1));
  await using proxy = await slowProxy(port);
  const at = (where: number): Door => ({
    ...{ name: "tcp", address: `grpc://127.0.0.1:${where}`, token: TOKEN, tls: {} },
  });
  const [there, vanishing] = [new RawGrpc(at(port)), new RawGrpc(at(proxy.port))];
  onTestFinished(() => [there, vanishing].forEach((one) => void one.close()));
  (await there.attach(TOKEN)).resume();
  (await vanishing.attach(TOKEN)).resume();
  const attached = (): number =>
    [...bare.state.processes.keys()].filter((pid) => kernel.trap.isAttached(pid)).length;
  expect(attached()).toBe(2);
  // Its packets are lost from now on, both ways.
  proxy.pace({ latencyMs: 1e9, bytesPerSecond: 1 });
  await until(() => attached() < 2);
  expect(attached()).toBe(1);
  expect(there.session.destroyed).toBe(false);
});
