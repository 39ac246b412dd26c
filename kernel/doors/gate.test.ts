import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { expect, it } from "vitest";
import type { Clock } from "../clock.js";
import { DoorBook } from "./books.js";
import { Gate } from "./gate.js";

/** A connection, as far as the gate looks at it. */
class Connection extends EventEmitter {
  destroyed = false;
  bytesRead = 0;
  bytesWritten = 7;
  readonly remoteAddress = "127.0.0.1";
  constructor(readonly remotePort: number) {
    super();
  }
  get peer(): string {
    return `${this.remoteAddress}:${this.remotePort}`;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

function gate() {
  let now = 0;
  let due: () => void = () => undefined;
  const after = (_: number, fn: () => void) => {
    due = fn;
    return () => undefined;
  };
  const clock = { now: () => now, wall: () => 0, after } as unknown as Clock;
  const limits = {
    ...{ connections: 7, reserve: 1, strangers: 2, crowd: 3 },
    ...{ strangerUs: 1000, idleUs: 1_000_000, strangerBytes: 100 },
  };
  const made = new Gate(clock, limits);
  let port = 0;
  const book = new DoorBook("grpc");
  const unix = new DoorBook("unix");
  const enter = (at = ++port, by = book): Connection => {
    const connection = new Connection(at);
    made.enter(connection as unknown as Socket, by);
    return connection;
  };
  const look = (at: number): void => {
    now = at;
    due();
  };
  return { gate: made, enter, look, book, unix };
}

const gone = (connections: readonly Connection[]) => connections.map((one) => one.destroyed);

it("makes room for the next stranger with the oldest; who is known stays", () => {
  const { gate: door, enter, book } = gate();
  const [known, a, b, c] = [enter(), enter(), enter(), enter()];
  expect(gone([known, a, b, c])).toEqual([true, false, false, false]);
  door.known(a.peer, "");
  const [d, e] = [enter(), enter()];
  expect(gone([a, b, c, d, e])).toEqual([false, true, false, false, false]);
  expect([door.strangers, door.connections]).toEqual([3, 4]);
  d.bytesRead = 100;
  const counts = { strangers: 3, connections: 4, accepted: 6n, refused: 2n, calls: 0n };
  // Of those that are over, and of those that are open.
  expect(book.figures).toMatchObject({ ...counts, bytesIn: 100n, bytesOut: 42n });
  expect([door.doorOf(d.peer), door.doorOf(b.peer)]).toEqual([book, undefined]);
});

it("gives a crowd its chance; then those make room who have said nothing, the oldest first", () => {
  const { gate: door, enter, look } = gate();
  const [silent, honest, later] = [enter(), enter(), enter()];
  // However long a busy kernel took between two looks.
  for (let i = 0; i < 50; i++) look(i === 0 ? 900 : 901);
  expect(gone([silent, honest, later])).toEqual([false, false, false]);
  look(902);
  expect(gone([silent, honest, later])).toEqual([true, false, false]);
  door.known(honest.peer, "");
  const crowd = [enter(), enter()];
  look(903);
  expect(gone([later, ...crowd])).toEqual([true, false, false]);
});

it("knows a connection from the one before it that had the same port", () => {
  const { gate: door, enter, look, book } = gate();
  const before = enter();
  const after = enter(before.remotePort);
  before.destroy();
  expect([book.connections, book.strangers]).toEqual([1, 1]);
  expect(door.doorOf(after.peer)).toBe(book);
  after.bytesRead = 101;
  look(1);
  expect([after.destroyed, book.strangers, door.doorOf(after.peer)]).toEqual([true, 0, undefined]);
});

it("closes at once what is more than all that there may be, and keeps places for the Unix socket", () => {
  const { gate: door, enter, unix } = gate();
  for (let i = 0; i < 6; i++) door.known(enter().peer, "");
  expect(enter().destroyed).toBe(true);
  const local = enter(90, unix);
  door.known(local.peer, "");
  expect([local.destroyed, enter(91, unix).destroyed]).toEqual([false, true]);
  expect(door.connections).toBe(7);
});

it("holds a connection by which nobody lives for a while, whatever it sends, and not too many", () => {
  const { gate: door, enter, look, book } = gate();
  const [called, attached] = [enter(), enter()];
  const leave = door.known(called.peer, "k1");
  const other = door.known(called.peer, "k1");
  door.known(attached.peer, "k1");
  leave();
  leave();
  look(999_999);
  other();
  called.bytesRead = 1e9;
  look(1_999_998);
  expect(gone([called, attached])).toEqual([false, false]);
  door.known(called.peer, "k1")();
  look(2_999_997);
  expect(called.destroyed).toBe(false);
  look(2_999_998);
  expect(gone([called, attached])).toEqual([true, false]);
  // They make room for each other, and not for strangers.
  const idle = [enter(), enter(), enter()];
  for (const { peer } of idle) door.known(peer, "k1")();
  const next = enter();
  expect(gone(idle)).toEqual([false, false, false]);
  door.known(next.peer, "k2")();
  expect(gone([...idle, next, attached])).toEqual([true, false, false, false, false]);
  expect([book.strangers, book.refused]).toEqual([0, 0]);
});

it("ends what only a revoked key has opened, after what goes on there", () => {
  const { gate: door, enter, look } = gate();
  const [idle, busy, shared] = [enter(), enter(), enter()];
  door.known(idle.peer, "k1")();
  const leave = door.known(busy.peer, "k1");
  door.known(shared.peer, "k1")();
  door.known(shared.peer, "k2")();
  door.revoked("k1");
  expect(gone([idle, busy, shared])).toEqual([true, false, false]);
  leave();
  expect(busy.destroyed).toBe(false);
  look(600_000);
  expect(busy.destroyed).toBe(true);
});

it("gives a stranger some time and some bytes, and whoever is known as much as he likes", () => {
  const { gate: door, enter, look } = gate();
  const [known, slow] = [enter(), enter()];
  door.known(known.peer, "");
  known.bytesRead = 1e6;
  look(999);
  const loud = enter();
  loud.bytesRead = 101;
  look(1000);
  expect(gone([known, slow, loud])).toEqual([false, true, true]);
});
