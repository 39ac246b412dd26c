import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { expect, it } from "vitest";
import { Strangers } from "./strangers.js";

class Connection extends EventEmitter {
  destroyed = false;
  readonly remoteAddress = "127.0.0.1";
  constructor(readonly remotePort: number) {
    super();
  }
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

let port = 0;
function enter(strangers: Strangers, at = ++port): Socket {
  const connection = new Connection(at) as unknown as Socket;
  strangers.enter(connection);
  return connection;
}

const gone = (connections: readonly Socket[]) => connections.map(({ destroyed }) => destroyed);

it("makes room with the one that has been there longest; what is being answered stays", () => {
  const strangers = new Strangers(2);
  const [a, b] = [enter(strangers), enter(strangers)];
  // As what speaks TLS over it says: the same address and port.
  const answered = strangers.known(new Connection(a.remotePort ?? 0));
  const [c, d] = [enter(strangers), enter(strangers)];
  expect(gone([a, b, c, d])).toEqual([false, true, false, false]);
  // Idle ones make room for each other, not for those without a key.
  answered();
  const [e] = [enter(strangers)];
  expect(gone([a, c, d, e])).toEqual([false, true, false, false]);
  strangers.known(d)();
  strangers.known(e)();
  expect(gone([a, d, e])).toEqual([true, false, false]);
  expect(strangers.cut).toBe(3);
});

it("waits for all answers of a connection, and forgets one that is closed", () => {
  const strangers = new Strangers(1);
  const one = enter(strangers);
  const answers = [strangers.known(one), strangers.known(one)];
  answers[0]?.();
  const other = enter(strangers);
  strangers.known(other)();
  expect(gone([one, other])).toEqual([false, false]);
  one.destroy();
  answers[1]?.();
  strangers.known(one)();
  expect([strangers.cut, other.destroyed]).toEqual([0, false]);
});

it("knows a connection from the one before it that had the same port", () => {
  const strangers = new Strangers(1);
  const before = enter(strangers);
  strangers.known(before)();
  const after = enter(strangers, before.remotePort);
  before.destroy();
  strangers.known(after);
  enter(strangers);
  expect([after.destroyed, strangers.cut]).toEqual([false, 0]);
});
