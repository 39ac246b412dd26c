/** An attachment without a door: what the client hears, in which order. */
import { expect, it } from "vitest";
import { Hello } from "../../proto/gen/contix/v1/kernel.js";
import { BareKernel } from "../../test/support/bare-kernel.js";
import type { Port } from "../trap.js";
import type { Authenticator } from "./authenticate.js";
import { DoorBook } from "./books.js";
import { DoorSession, type Frame } from "./session.js";

it("welcomes a client before it tells of the signals that waited for it", async () => {
  const { kernel } = new BareKernel();
  const of = { parent: 0n, name: "p", principal: "alice", nice: 0, spawned: true };
  const { pid } = kernel.procs.create(of);
  for (const name of ["USR1", "TERM"]) kernel.procs.signal(pid, name, 0n);
  const auth = { attach: async (_: Hello, port: Port) => kernel.procs.attach(pid, port) };
  const heard: string[] = [];
  const pipe = {
    ...{ book: new DoorBook("grpc"), end() {}, pause() {}, resume() {} },
    send: (frame: Frame) =>
      heard.push(frame.$case === "signal" ? frame.value.name : frame.$case) > 0,
  };
  const session = new DoorSession(kernel, auth as unknown as Authenticator, pipe);
  await session.hello(Hello.fromPartial({}));
  expect(heard).toEqual(["welcome", "USR1", "TERM"]);
  kernel.procs.signal(pid, "USR1", 0n);
  expect(heard).toEqual(["welcome", "USR1", "TERM", "USR1"]);
});
